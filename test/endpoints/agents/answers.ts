/** What each program prints when it answers `hi` at once. */
export const answers = {
  claude: [
    '{"type":"system","subtype":"init","session_id":"s1","model":"m","tools":[],"cwd":"/"}',
    '{"type":"assistant","message":{"id":"1","model":"m","content":[{"type":"text","text":"hi"}]},"session_id":"s1"}',
    '{"type":"result","subtype":"success","is_error":false,"result":"hi","session_id":"s1","usage":{"input_tokens":1,"output_tokens":1}}',
  ],
  codex: [
    '{"type":"thread.started","thread_id":"s1"}',
    '{"type":"item.completed","item":{"id":"i","type":"agent_message","text":"hi"}}',
    '{"type":"turn.completed","usage":{"input_tokens":1,"output_tokens":1}}',
  ],
  gemini: [
    '{"type":"init","session_id":"s1","model":"m"}',
    '{"type":"message","role":"assistant","content":"hi","delta":true}',
    '{"type":"result","status":"success","stats":{"input_tokens":1,"output_tokens":1}}',
  ],
  pi: [
    '{"type":"session","id":"s1","cwd":"/"}',
    '{"type":"message_end","message":{"role":"assistant","model":"m","content":[{"type":"text","text":"hi"}],"usage":{"input":1,"output":1},"stopReason":"stop"}}',
    '{"type":"agent_settled"}',
  ],
} as const;

/** Commands of a shell that print these lines. */
export const say = (lines: readonly string[]) => lines.map((line) => `printf '%s\\n' '${line}'`).join('\n');
