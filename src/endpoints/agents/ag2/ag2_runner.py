"""Runs one AG2 group chat, agent or remote agent for imodel, and tells what happens as lines of JSON.

Standard input: line 1 is the request (see `schemas/requests/ag2.ts`); later lines are `{"op":"cancel"}` and
`{"op":"input","id":ID,"text":TEXT}`. Standard output: one JSON object a line, each with `seq` (from 1) and `t`; the last is `result` or
`error`. Whatever AG2 or a tool prints goes to standard error: descriptor 1 is moved away before anything is imported.

Exit codes: 0 after `result`, 1 after `error`, 2 for a request that is none, 130 when cancelled. Needs Python 3.10 and, but for kind `nlip`,
the package `ag2` (1.x) or `autogen` (0.x).
"""

import os
import sys

PROTOCOL_FD = os.dup(1)
os.dup2(2, 1)

import asyncio
import importlib
import inspect
import ipaddress
import json
import platform
import queue
import re
import signal
import socket
import threading
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request

PROTOCOL = 1
WANTED = "ag2[openai]>=1.0,<2"
HEARTBEAT_SECONDS = 15
CANCEL_SECONDS = 1.5
AGENT_NAME = re.compile(r"^[A-Za-z0-9_-]{1,64}$")
REQUEST_KEYS = {
    "v", "run_id", "kind", "backend", "prompt", "messages", "llm", "agents", "pattern", "max_rounds", "turn_timeout",
    "context_variables", "tools", "import_paths", "code_executor", "human_input", "include_history", "allow_tools",
    "allow_code_execution", "allow_private", "url", "timeout", "max_retries", "agent_name",
}
AGENT_KEYS = {
    "name", "role", "description", "system_message", "prompt", "llm", "tools", "handoffs", "handoff_conditions", "after_work",
    "nlip_url", "nlip_timeout", "nlip_max_retries", "state_template",
}
HANDOFF_KEYS = {"target", "condition", "condition_type", "key", "equals"}
LLM_KEYS = {
    "api_type", "model", "base_url", "api_key", "api_key_env", "temperature", "top_p", "max_tokens", "streaming", "timeout",
    "max_retries", "reasoning_effort", "default_headers", "extra_body",
}


class Failed(Exception):
    """Ends the run with an `error` line of this kind."""

    def __init__(self, kind, message, **fields):
        super().__init__(message)
        self.kind = kind
        self.fields = fields


class Output:
    """Writes the protocol's lines, from any thread."""

    def __init__(self, descriptor):
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._lock = threading.Lock()
        self._seq = 0
        self.closed = False

    def emit(self, kind, /, **fields):
        with self._lock:
            if self.closed:
                return
            self._seq += 1
            line = {"seq": self._seq, "t": kind, **fields}
            data = memoryview(json.dumps(line, default=str, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
            try:
                while len(data) > 0:
                    data = data[self._file.write(data) :]
            except OSError:
                os._exit(1)
            self.closed = kind in ("result", "error")


class Run:
    """What one run gathers: usage, history, tools that are under way, and the ways to stop it."""

    def __init__(self, request, output):
        self.request = request
        self.output = output
        self.loop = None
        self.usage = {"input_tokens": 0, "output_tokens": 0}
        self.cost = None
        self.rounds = 0
        self.history = []
        self.last_speaker = None
        self.content = ""
        self.context = dict(request.get("context_variables") or {})
        self.inputs = {}
        self.speaker = None
        self.calls = {}

    def emit(self, kind, /, **fields):
        self.output.emit(kind, **fields)

    def log(self, level, message):
        self.emit("log", level=level, message=message)

    def add_usage(self, agent, model, given, received, **more):
        if not given and not received:
            return
        self.usage["input_tokens"] += given
        self.usage["output_tokens"] += received
        self.emit("usage", agent=agent, model=model, input_tokens=given, output_tokens=received, **more)

    def speaks(self, agent):
        """An agent's turn began, unless that was told."""
        if self.speaker != agent:
            self.speaker = agent
            self.emit("speaker", agent=agent, round=self.rounds + 1)

    def message(self, agent, content):
        """A whole message of an agent: its turn is over."""
        self.speaks(agent)
        self.speaker = None
        self.rounds += 1
        self.last_speaker = agent
        self.content = content
        self.history.append({"role": "assistant", "name": agent, "content": content})
        self.emit("message", agent=agent, content=content, round=self.rounds)

    def result(self, reason):
        fields = {
            "reason": reason,
            "content": self.content,
            "last_speaker": self.last_speaker,
            "rounds": self.rounds,
            "context_variables": self.context,
            "usage": self.usage,
            "cost_usd": self.cost,
        }
        if self.request.get("include_history", True):
            fields["history"] = self.history
        self.emit("result", **fields)

    async def ask_human(self, prompt, identity=None):
        identity = identity or f"h{len(self.inputs) + 1}"
        future = self.loop.create_future()
        self.inputs[identity] = future
        self.emit("input_request", id=identity, prompt=prompt)
        return await future


# --- The request ------------------------------------------------------------------------------------------------------------------


def bad(message, **fields):
    return Failed("bad_request", message, **fields)


def check_keys(where, record, known):
    for key in record:
        if key not in known:
            raise bad(f"unknown field `{key}` in {where}; known are {', '.join(sorted(known))}")


def check_request(request):
    if not isinstance(request, dict):
        raise bad("the first line is not an object")
    if request.get("v", PROTOCOL) != PROTOCOL:
        raise Failed("protocol_version", f"this program speaks version {PROTOCOL}, got {request.get('v')!r}")
    check_keys("the request", request, REQUEST_KEYS)
    kind = request.get("kind", "group_chat")
    if kind not in ("group_chat", "agent", "nlip"):
        raise bad(f"`kind` is one of group_chat, agent, nlip; got {kind!r}")
    if kind == "nlip":
        if not request.get("url"):
            raise bad("`url` of the remote agent is missing")
        return kind
    agents = request.get("agents") or []
    if not 1 <= len(agents) <= 50:
        raise bad(f"`agents` needs 1 to 50 entries, got {len(agents)}")
    names = [agent.get("name") for agent in agents]
    for name in names:
        if not isinstance(name, str) or not AGENT_NAME.match(name) or name in ("user", "END"):
            raise bad(f"an agent's `name` is 1 to 64 of A-Z a-z 0-9 _ - and not `user` or `END`, got {name!r}")
    if len(set(names)) != len(names):
        raise bad("two agents have the same name")
    tools = request.get("tools") or {}
    llm = request.get("llm") or {}
    for agent in agents:
        check_keys(f"agent `{agent['name']}`", agent, AGENT_KEYS)
        for tool in agent.get("tools") or []:
            if tool not in tools:
                raise bad(f"agent `{agent['name']}` names the tool `{tool}`, which `tools` does not hold")
        for handoff in handoffs_of(agent):
            check_keys(f"a handoff of `{agent['name']}`", handoff, HANDOFF_KEYS)
            if handoff.get("target") not in [*names, "END", "INITIATOR"]:
                raise bad(f"agent `{agent['name']}` hands off to `{handoff.get('target')}`, which is no agent")
        if not agent.get("nlip_url") and agent.get("llm", "main") not in llm:
            raise Failed("llm_config", f"agent `{agent['name']}` wants the model `{agent.get('llm', 'main')}`, which `llm` does not hold")
    for name, config in llm.items():
        check_keys(f"llm `{name}`", config, LLM_KEYS)
    if tools and not request.get("allow_tools"):
        raise bad("`tools` runs code of yours: set `allow_tools`")
    if request.get("code_executor") and not request.get("allow_code_execution"):
        raise bad("`code_executor` runs code of the model: set `allow_code_execution`")
    if not task_of(request):
        raise bad("`prompt` and `messages` hold no task")
    if int(request.get("max_rounds", 15)) < 1:
        raise bad("`max_rounds` is at least 1")
    return "agent" if len(agents) == 1 else kind


def handoffs_of(agent):
    return agent.get("handoffs") or agent.get("handoff_conditions") or []


def task_of(request):
    """The prompt, or what the messages say: blocks with their roles when there are several."""
    if request.get("prompt"):
        return request["prompt"]
    blocks = []
    for message in request.get("messages") or []:
        content = message.get("content") or ""
        if isinstance(content, list):
            content = "\n".join(part.get("text", "") for part in content if part.get("type") == "text")
        if content:
            blocks.append((message.get("role", "user"), content))
    if len(blocks) == 1:
        return blocks[0][1]
    return "\n\n".join(f"[{role}]\n{content}" for role, content in blocks)


def load_tools(request):
    """Imports the functions that agents may use. Only what the request lists is ever imported."""
    for path in request.get("import_paths") or []:
        sys.path.insert(0, os.path.abspath(path))
    loaded = {}
    for name, entry in (request.get("tools") or {}).items():
        entry = {"import": entry} if isinstance(entry, str) else entry
        module_name, _, attribute = entry.get("import", "").partition(":")
        if not module_name or not attribute:
            raise Failed("tool_import", f"the tool `{name}` needs `import` as `module:attribute`, got {entry.get('import')!r}", tool=name)
        try:
            function = importlib.import_module(module_name)
            for part in attribute.split("."):
                function = getattr(function, part)
        except ImportError as error:
            raise Failed("tool_import", f"{module_name} cannot be imported: {error}", tool=name) from error
        except AttributeError as error:
            raise Failed("tool_import", f"{module_name} has no attribute {attribute}", tool=name) from error
        if not callable(function):
            raise Failed("tool_import", f"{module_name}:{attribute} is not callable", tool=name)
        description = entry.get("description") or inspect.getdoc(function) or name
        loaded[name] = {"function": function, "description": description, "schema": entry.get("kwargs_schema")}
    return loaded


def key_of(name, config):
    if config.get("api_key"):
        return config["api_key"]
    variable = config.get("api_key_env")
    if variable:
        value = os.environ.get(variable)
        if not value:
            raise Failed("llm_config", f"llm `{name}`: the variable {variable} is not set")
        return value
    return "unused" if config.get("base_url") else None


# --- AG2 1.x ----------------------------------------------------------------------------------------------------------------------


def find_backend(wanted):
    """The package to run with: its name, module and version."""
    found = {}
    problem = None
    for package, backend in (("ag2", "network"), ("autogen", "classic")):
        if wanted not in ("auto", backend) and not (wanted == "network" and package == "autogen"):
            continue
        try:
            module = importlib.import_module(package)
        except ImportError as error:
            problem = error
            continue
        found[package] = (module, getattr(module, "__version__", "unknown"))
        if wanted == "auto":
            break
    if wanted in ("auto", "network") and "ag2" in found:
        module, version = found["ag2"]
        if version != "unknown" and int(version.split(".")[0]) < 1:
            raise Failed("ag2_version", f"found ag2 {version}, wanted {WANTED}", found=f"ag2 {version}", wanted=WANTED)
        return "network", "ag2", module, version
    if wanted == "network" and "autogen" in found:
        version = found["autogen"][1]
        raise Failed(
            "ag2_version",
            f"backend `network` needs {WANTED}; found autogen {version}, which has the backend `classic` only",
            found=f"autogen {version}",
            wanted=WANTED,
        )
    if "autogen" in found:
        module, version = found["autogen"]
        return "classic", "autogen", module, version
    raise Failed("ag2_missing", f"Neither ag2 nor autogen can be imported ({problem})", hint=f"pip install '{WANTED}'")


def network_config(name, config):
    api_type = config.get("api_type", "openai")
    classes = {
        "openai": "OpenAIConfig",
        "openai_responses": "OpenAIResponsesConfig",
        "anthropic": "AnthropicConfig",
        "gemini": "GeminiConfig",
        "ollama": "OllamaConfig",
    }
    if api_type not in classes:
        raise Failed("llm_config", f"llm `{name}`: `api_type` is one of {', '.join(classes)}; got {api_type!r}")
    try:
        factory = getattr(importlib.import_module("ag2.config"), classes[api_type])
        keys = {key: value for key, value in config.items() if key not in ("api_type", "api_key", "api_key_env") and value is not None}
        keys.setdefault("model", "gpt-4o-mini")
        key = key_of(name, config)
        return factory(**({"api_key": key} if key else {}), **keys)
    except ImportError as error:
        raise Failed("ag2_extra_missing", f"llm `{name}` needs a package that is not installed: {error}", hint=f"pip install 'ag2[{api_type.split('_')[0]}]'") from error
    except AttributeError as error:
        raise Failed("ag2_extra_missing", f"this ag2 has no {classes[api_type]}: {error}") from error
    except TypeError as error:
        raise Failed("llm_config", f"llm `{name}`: {error}") from error


def text_of(parts):
    """The text of a tool's answer."""
    texts = []
    for part in parts or []:
        value = getattr(part, "content", None)
        value = getattr(part, "data", None) if value is None else value
        texts.append(value if isinstance(value, str) else json.dumps(value, default=str))
    return "\n".join(texts)


def input_of(arguments):
    if isinstance(arguments, dict):
        return arguments
    try:
        value = json.loads(arguments or "{}")
        return value if isinstance(value, dict) else {}
    except ValueError:
        return {}


def network_observer(ag2, run, name, routing):
    """Tells of one agent's turn as it goes. `routing` holds the handoff tools, which are told by the handoff itself."""

    told = set()

    def use(call):
        if call.name not in routing and call.id not in told:
            told.add(call.id)
            run.emit("tool_use", agent=name, id=call.id, name=call.name, input=input_of(call.arguments))

    async def on_event(event):
        kind = type(event).__name__
        if kind in ("ModelRequest", "ModelMessageChunk", "ToolCallsEvent", "ModelResponse"):
            run.speaks(name)
        if kind == "ModelMessageChunk":
            run.emit("text", agent=name, content=event.content, delta=True)
        elif kind == "ModelReasoning":
            run.emit("thinking", agent=name, content=event.content, delta=True)
        elif kind in ("ModelResponse", "ToolCallsEvent"):
            # Told from the list, before the single calls: those reach an observer only after they were carried out.
            calls = event.tool_calls if kind == "ModelResponse" else event
            for call in getattr(calls, "calls", None) or []:
                use(call)
        elif kind in ("ToolCallEvent", "BuiltinToolCallEvent"):
            use(event)
        elif kind in ("ToolResultEvent", "BuiltinToolResultEvent", "ToolErrorEvent", "ToolNotFoundEvent"):
            if event.name not in routing:
                failed = kind in ("ToolErrorEvent", "ToolNotFoundEvent")
                result = getattr(event, "result", None)
                output = text_of(getattr(result, "parts", None)) or (str(event.error) if failed else "")
                run.emit("tool_result", agent=name, id=event.parent_id, name=event.name, output=output, is_error=failed)
        elif kind == "UsageEvent":
            usage = event.usage
            run.add_usage(name, event.model, int(usage.prompt_tokens or 0), int(usage.completion_tokens or 0))

    return ag2.observer(None, on_event)


def network_tools(ag2, loaded, agent):
    make = getattr(ag2, "tool")
    tools = []
    for name in agent.get("tools") or []:
        entry = loaded[name]
        options = {"name": name, "description": entry["description"]}
        if entry["schema"]:
            options["schema"] = entry["schema"]
        tools.append(make(entry["function"], **options))
    return tools


def system_of(run, agent):
    template = agent.get("state_template")
    system = agent.get("system_message") or agent.get("prompt") or ""
    if not template:
        return system
    return re.sub(r"\{(\w+)\}", lambda match: str(run.context.get(match.group(1), match.group(0))), template)


def network_agent(ag2, run, agent, loaded, extra_tools=(), routing=frozenset()):
    hook = (lambda event: run.ask_human(event.content, event.id)) if run.request.get("human_input", "never") != "never" else None
    return ag2.Agent(
        agent["name"],
        system_of(run, agent) or "You are a helpful assistant.",
        config=network_config(agent.get("llm", "main"), run.request["llm"][agent.get("llm", "main")]),
        tools=[*network_tools(ag2, loaded, agent), *extra_tools],
        observers=[network_observer(ag2, run, agent["name"], routing)],
        **({"hitl_hook": hook} if hook else {}),
    )


async def run_single(ag2, run, loaded):
    agent = run.request["agents"][0]
    name = agent["name"]
    run.emit("start", agents=[name], pattern="single", max_rounds=1)
    run.speaks(name)
    if agent.get("nlip_url"):
        run.message(name, await ask_remote(run, agent["nlip_url"], task_of(run.request), agent))
        run.result("terminated")
        return
    live = network_agent(ag2, run, agent, loaded)
    try:
        reply = await asyncio.wait_for(live.ask(task_of(run.request)), run.request.get("turn_timeout", 300))
    except asyncio.TimeoutError as error:
        raise Failed("turn_timeout", f"{name} had not answered after {run.request.get('turn_timeout', 300)} s", agent=name, round=1) from error
    except Exception as error:
        raise turn_failed(run, name, error) from error
    body = reply.body if isinstance(getattr(reply, "body", None), str) else ""
    if not body:
        raise Failed("empty_reply", f"{name} answered nothing", agent=name, round=1)
    run.message(name, body)
    run.result("terminated")


def turn_failed(run, agent, error):
    status = getattr(error, "status_code", None) or getattr(getattr(error, "response", None), "status_code", None)
    return Failed(
        "turn_failed",
        str(error) or type(error).__name__,
        agent=agent,
        round=run.rounds + 1,
        status=status if isinstance(status, int) else None,
        partial={"rounds": run.rounds},
    )


def handoff_tools(ag2, network, agent, ids):
    """One tool for each handoff that a sentence decides; returns the tools and their names."""
    tools = []
    for handoff in handoffs_of(agent):
        if handoff.get("condition_type", "llm") != "llm":
            continue
        target = handoff["target"]
        ends = target in ("END", "INITIATOR")

        def transfer(reason: str = "", target=target, ends=ends):
            return network.Finish(summary=reason, reason="finished") if ends else network.Handoff(target=target, reason=reason)

        transfer.__signature__ = inspect.Signature(
            [inspect.Parameter("reason", inspect.Parameter.POSITIONAL_OR_KEYWORD, default="", annotation=str)]
        )
        transfer.__annotations__ = {"reason": str}
        schema = {"type": "object", "properties": {"reason": {"type": "string"}}}
        description = f"Hand over to {target}: {handoff.get('condition') or 'when it should go on'}"
        tools.append(ag2.tool(transfer, name=f"transfer_to_{target}", description=description, schema=schema))
    return tools, {f"transfer_to_{h['target']}" for h in handoffs_of(agent) if h.get("condition_type", "llm") == "llm"}


def context_condition(network, agent_id, key, value):
    """True when this agent spoke and a context variable has this value; ag2 has no condition for both at once."""
    transitions = importlib.import_module("ag2.network.transitions")
    if not hasattr(transitions, "register_condition"):
        return network.ContextEquals(key=key, value=value)
    import dataclasses
    from typing import Any, ClassVar

    kind = getattr(context_condition, "kind", None)
    if kind is None:

        @dataclasses.dataclass(slots=True)
        class SpeakerContextEquals:
            agent_id: str
            key: str
            value: Any
            name: ClassVar[str] = "imodel_speaker_context_equals"

            def evaluate(self, state, envelope):
                return envelope.sender_id == self.agent_id and state.context_vars.get(self.key) == self.value

        transitions.register_condition(SpeakerContextEquals)
        kind = context_condition.kind = SpeakerContextEquals
    return kind(agent_id=agent_id, key=key, value=value)


def transition_graph(network, run, ids, seeder, first):
    """Who speaks after whom. The seeder's message is the first turn, so that the task is nobody's own words."""
    agents = run.request["agents"]
    pattern = run.request.get("pattern") or {}
    kind = pattern.get("type", "default")
    order = [agent["name"] for agent in agents]
    then = lambda name: network.AgentTarget(ids[name]) if name in ids else network.TerminateTarget("terminated")
    rules = [network.Transition(when=network.FromSpeaker(seeder), then=then(first), priority=0)]
    for agent in agents:
        for handoff in handoffs_of(agent):
            if handoff.get("condition_type", "llm") == "context":
                when = context_condition(network, ids[agent["name"]], handoff["key"], handoff.get("equals", True))
                rules.append(network.Transition(when=when, then=then(handoff["target"]), priority=1))
    for index, agent in enumerate(agents):
        if kind == "round_robin":
            target = order[(index + 1) % len(order)]
        elif kind == "manual":
            target = agent.get("after_work", "END")
        elif kind == "auto":
            target = "coordinator" if agent["name"] != "coordinator" else "END"
        elif index + 1 < len(order):
            target = order[index + 1]
        else:
            target = {"terminate": "END"}.get(pattern.get("after_last", "terminate"), pattern.get("after_last"))
        rules.append(network.Transition(when=network.FromSpeaker(ids[agent["name"]]), then=then(target), priority=10))
    return network.TransitionGraph(
        initial_speaker=seeder,
        transitions=rules,
        default_target=network.TerminateTarget("no_speaker"),
        max_turns=int(run.request.get("max_rounds", 15)) + 1,
    )


def add_coordinator(request):
    """`auto` has no counterpart in ag2 1.x: an agent that may hand over to every other picks the next speaker."""
    others = [agent["name"] for agent in request["agents"]]
    about = "; ".join(f"{agent['name']}: {agent.get('description') or agent.get('role') or 'an agent'}" for agent in request["agents"])
    request["agents"].append(
        {
            "name": "coordinator",
            "system_message": f"Choose who speaks next by calling a transfer tool, or transfer_to_END when the task is done. {about}",
            "llm": request["agents"][0].get("llm", "main"),
            "handoffs": [{"target": name, "condition": f"when {name} should speak"} for name in [*others, "END"]],
        }
    )


async def run_network(ag2, run, loaded):
    network = importlib.import_module("ag2.network")
    request = run.request
    kind = (request.get("pattern") or {}).get("type", "default")
    if kind == "random":
        raise Failed("unsupported", "the pattern `random` is there with the backend `classic` only")
    if kind not in ("default", "round_robin", "manual", "auto"):
        raise bad(f"`pattern.type` is one of default, round_robin, manual, auto, random; got {kind!r}")
    if request.get("code_executor"):
        raise Failed("unsupported", "`code_executor` is there with the backend `classic` only")
    if any(agent.get("nlip_url") for agent in request["agents"]):
        raise Failed("unsupported", "`nlip_url` among several agents is not there with the backend `network`: ask it with kind `nlip`")
    if kind == "auto":
        add_coordinator(request)
    agents = request["agents"]
    default_first = "coordinator" if kind == "auto" else agents[0]["name"]
    first = (request.get("pattern") or {}).get("initial_agent", default_first)
    if first not in [agent["name"] for agent in agents]:
        raise bad(f"`pattern.initial_agent` is no agent: {first!r}")
    run.emit("start", agents=[agent["name"] for agent in agents], pattern=kind, max_rounds=int(request.get("max_rounds", 15)))

    store = importlib.import_module("ag2.knowledge").MemoryKnowledgeStore()
    hub = await network.Hub.open(store)
    client = network.HubClient(network.LocalLink(hub), hub=hub)
    ended = run.loop.create_future()
    ids, names = {}, {}

    def end(outcome):
        if not ended.done():
            ended.set_result(outcome)

    class Listener(network.BaseHubListener):
        async def on_envelope_posted(self, envelope, metadata):
            on_posted(envelope)

        async def on_channel_event(self, channel_id, kind, payload):
            if kind == "closed":
                end(("closed", (payload or {}).get("reason", "")))

        async def on_turn_failed(self, channel_id, agent_id, envelope_id, exc):
            end(("failed", turn_failed(run, names.get(agent_id, "unknown"), exc)))

        async def on_expectation_fired(self, channel_id, expectation, violation):
            end(("failed", Failed("turn_timeout", f"an agent was silent for too long: {violation}", round=run.rounds + 1)))

    def on_posted(envelope):
        speaker = names.get(envelope.sender_id)
        data = envelope.event_data or {}
        if envelope.event_type.endswith("context.set"):
            changes(data)
            return
        if speaker is None or not envelope.event_type.endswith(("packet", "text")):
            return
        progress.set()
        changes(data.get("context_updates") or {})
        run.message(speaker, str(data.get("body") or data.get("text") or ""))
        routing = data.get("routing") or {}
        if routing.get("kind") == "finish" and routing.get("summary") and not run.content:
            run.content = routing["summary"]
        if routing.get("kind") == "handoff":
            target = routing.get("target") or ""
            run.emit("handoff", **{"from": speaker, "to": names.get(target, target), "reason": routing.get("reason") or "", "via": routing.get("tool") or ""})

    def changes(data):
        changed, gone = data.get("set") or {}, data.get("delete") or []
        if not changed and not gone:
            return
        run.context.update(changed)
        for key in gone:
            run.context.pop(key, None)
        run.emit("context", set=changed, delete=gone)

    progress = asyncio.Event()
    for agent in agents:
        extra, routing = handoff_tools(ag2, network, agent, ids)
        live = network_agent(ag2, run, agent, loaded, extra, routing)
        member = await client.register(live, network.Passport(name=agent["name"]), network.Resume(), attach_plugin=False)
        ids[agent["name"]] = member.agent_id
        names[member.agent_id] = agent["name"]
    human = await client.register_human(network.Passport(name="user", kind="human"))
    hub.register_listener(Listener())
    graph = transition_graph(network, run, ids, human.agent_id, first)
    channel = await human.open(
        type="workflow",
        target=[agent["name"] for agent in agents],
        knobs={"graph": graph.to_dict(), "context_vars": dict(run.context)},
    )
    run.speaks(first)
    await channel.send(task_of(request))
    try:
        outcome, detail = await until_ended(run, ended, progress)
    finally:
        await quietly(channel.close(reason="closed"))
        await quietly(client.close())
    if outcome == "failed":
        raise detail
    if detail in ("closed", "terminated", "finished", "no_speaker"):
        run.result(detail)
    elif detail == "max_turns":
        run.result("max_rounds")
    else:
        run.result("terminated")


async def until_ended(run, ended, progress):
    """Waits for the end. An empty answer posts nothing, so silence for a whole turn is an end too."""
    limit = float(run.request.get("turn_timeout", 300))
    while True:
        progress.clear()
        waiter = asyncio.ensure_future(progress.wait())
        done, _ = await asyncio.wait({ended, waiter}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        waiter.cancel()
        if ended in done:
            return ended.result()
        if not done:
            return "failed", Failed("turn_timeout", f"no agent had answered after {limit:g} s", round=run.rounds + 1, partial={"rounds": run.rounds})


async def quietly(awaitable):
    try:
        await asyncio.wait_for(awaitable, 1)
    except Exception as error:
        print(f"while closing: {error!r}", file=sys.stderr)


# --- AutoGen 0.x ------------------------------------------------------------------------------------------------------------------


def classic_config(name, config):
    entry = {"model": config.get("model", "gpt-4o-mini"), "api_type": config.get("api_type", "openai")}
    for key in ("base_url", "temperature", "top_p", "max_tokens", "timeout", "max_retries", "reasoning_effort"):
        if config.get(key) is not None:
            entry[key] = config[key]
    key = key_of(name, config)
    if key:
        entry["api_key"] = key
    if entry["api_type"] == "gemini":
        entry["api_type"] = "google"
    if entry["api_type"] == "ollama":
        entry["client_host"] = entry.pop("base_url", None)
    return {"config_list": [entry]}


async def run_classic(autogen, run, loaded):
    chat = importlib.import_module("autogen.agentchat")
    group = importlib.import_module("autogen.agentchat.group")
    patterns = importlib.import_module("autogen.agentchat.group.patterns")
    request = run.request
    if request.get("code_executor"):
        raise Failed("unsupported", "`code_executor` needs an executor object of the classic package, which a request cannot hold")
    if any(agent.get("nlip_url") for agent in request["agents"]):
        raise Failed("unsupported", "`nlip_url` among several agents is not there: ask it with kind `nlip`")
    members = {}
    for agent in request["agents"]:
        functions = []
        for name in agent.get("tools") or []:
            entry = loaded[name]
            functions.append(autogen.tools.Tool(name=name, description=entry["description"], func_or_tool=entry["function"]))
        members[agent["name"]] = autogen.ConversableAgent(
            name=agent["name"],
            system_message=system_of(run, agent) or "You are a helpful assistant.",
            description=agent.get("description"),
            llm_config=classic_config(agent.get("llm", "main"), request["llm"][agent.get("llm", "main")]),
            functions=functions or None,
            human_input_mode="NEVER",
        )
    wire_classic(group, request, members)
    user = autogen.ConversableAgent(name="user", human_input_mode="NEVER", llm_config=False)
    kind = (request.get("pattern") or {}).get("type", "default")
    names = {"default": "DefaultPattern", "manual": "DefaultPattern", "auto": "AutoPattern", "round_robin": "RoundRobinPattern", "random": "RandomPattern"}
    if kind not in names:
        raise bad(f"`pattern.type` is one of {', '.join(names)}; got {kind!r}")
    first = (request.get("pattern") or {}).get("initial_agent", request["agents"][0]["name"])
    options = {"group_manager_args": {"llm_config": classic_config("main", next(iter(request["llm"].values())))}} if kind == "auto" else {}
    pattern = getattr(patterns, names[kind])(
        initial_agent=members[first],
        agents=list(members.values()),
        user_agent=user,
        context_variables=group.ContextVariables(data=dict(run.context)),
        **options,
    )
    rounds = int(request.get("max_rounds", 15))
    run.emit("start", agents=list(members), pattern=kind, max_rounds=rounds)
    # The task is a round of its own there.
    response = await maybe_await(chat.a_run_group_chat_iter(pattern, task_of(request), max_rounds=rounds + 1))
    reason = "terminated"
    try:
        async for event in response:
            reason = classic_event(run, members, event) or reason
    except Failed:
        raise
    except Exception as error:
        raise turn_failed(run, run.last_speaker or first, error) from error
    finish_classic(run, response)
    run.result(reason)


async def maybe_await(value):
    return await value if inspect.isawaitable(value) else value


def wire_classic(group, request, members):
    target = lambda name: group.AgentTarget(members[name]) if name in members else group.TerminateTarget()
    order = list(members)
    kind = (request.get("pattern") or {}).get("type", "default")
    for index, agent in enumerate(request["agents"]):
        member = members[agent["name"]]
        for handoff in handoffs_of(agent):
            if handoff.get("condition_type", "llm") == "context":
                expression = f"${{{handoff['key']}}} == {handoff.get('equals', True)!r}"
                condition = group.ExpressionContextCondition(expression=group.ContextExpression(expression))
                member.handoffs.add_context_condition(group.OnContextCondition(target=target(handoff["target"]), condition=condition))
            else:
                prompt = handoff.get("condition") or f"when {handoff['target']} should go on"
                member.handoffs.add_llm_condition(
                    group.OnCondition(target=target(handoff["target"]), condition=group.StringLLMCondition(prompt=prompt))
                )
        if kind == "default":
            member.handoffs.set_after_work(target(order[index + 1]) if index + 1 < len(order) else group.TerminateTarget())
        elif kind == "manual":
            member.handoffs.set_after_work(target(agent.get("after_work", "END")))


def classic_event(run, members, event):
    """Tells of one event; returns why the chat ends when it says so."""
    kind = type(event).__name__
    content = getattr(event, "content", event)
    sender = getattr(content, "sender", None)
    sender = getattr(sender, "name", sender)
    if kind == "GroupChatRunChatEvent" and getattr(content, "speaker", None) in members:
        run.speaks(content.speaker)
    elif kind == "TextEvent" and sender in members:
        text = content.content
        if isinstance(text, list):
            text = "\n".join(part.get("text", "") for part in text if isinstance(part, dict))
        if text:
            run.message(sender, str(text))
    elif kind == "ToolCallEvent":
        for call in content.tool_calls or []:
            function = call.function
            run.calls[call.id] = (sender, function.name)
            run.emit("tool_use", agent=sender, id=call.id, name=function.name, input=input_of(function.arguments))
    elif kind == "ToolResponseEvent":
        for answer in content.tool_responses or []:
            caller, name = run.calls.get(answer.tool_call_id, (sender, getattr(answer, "name", None)))
            output = answer.content if isinstance(answer.content, str) else json.dumps(answer.content, default=str)
            run.emit("tool_result", agent=caller, id=answer.tool_call_id, name=name, output=output, is_error=False)
    elif kind == "TerminationEvent":
        return "max_rounds" if "max" in str(getattr(content, "termination_reason", "")).lower() else "terminated"
    elif kind == "ErrorEvent":
        raise turn_failed(run, run.last_speaker or "unknown", getattr(content, "error", None) or Exception(str(content)))
    return None


def finish_classic(run, response):
    """The response object knows at the end what no event told."""
    context = getattr(response, "context_variables", None)
    if context is not None:
        run.context = dict(getattr(context, "data", context))
    cost = getattr(response, "cost", None)
    usage = getattr(cost, "usage_including_cached_inference", None)
    if usage is None:
        return
    # Without prices it says 0, which would read as free.
    run.cost = float(usage.total_cost) if getattr(usage, "total_cost", 0) else None
    for model, entry in (getattr(usage, "models", None) or {}).items():
        read = entry.get if isinstance(entry, dict) else lambda key, default=0, entry=entry: getattr(entry, key, default)
        run.add_usage(None, model, int(read("prompt_tokens", 0) or 0), int(read("completion_tokens", 0) or 0))


# --- A remote agent ---------------------------------------------------------------------------------------------------------------


def check_address(url, allow_private):
    """Refuses addresses inside our own network before anything is sent there."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Failed("nlip_failed", f"`url` is an http or https address, got {url!r}")
    if allow_private:
        return
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 80, proto=socket.IPPROTO_TCP)
    except OSError as error:
        raise Failed("nlip_failed", f"{parts.hostname} cannot be resolved: {error}") from error
    for entry in found:
        address = ipaddress.ip_address(entry[4][0].split("%")[0])
        if not address.is_global:
            raise Failed("nlip_failed", f"{parts.hostname} is the private address {address}; allow it with `allow_private`")


async def ask_remote(run, url, text, options):
    """One exchange with an agent that speaks NLIP over HTTP."""
    request = run.request
    check_address(url, bool(request.get("allow_private")))
    limit = float(options.get("nlip_timeout") or request.get("timeout") or 60)
    tries = 1 + int(options.get("nlip_max_retries", request.get("max_retries", 3)))
    body = json.dumps({"format": "text", "subformat": "english", "content": text}).encode()
    problem = "it was not asked"
    for _ in range(max(1, tries)):
        try:
            answer = await asyncio.get_running_loop().run_in_executor(None, post, url.rstrip("/") + "/nlip/", body, limit)
            content = answer.get("content")
            content = content.get("content") if isinstance(content, dict) else content
            if not isinstance(content, str) or content == "":
                raise Failed("nlip_failed", f"{url} answered without a text")
            return content
        except urllib.error.HTTPError as error:
            problem = f"HTTP {error.code}"
            if error.code < 500:
                break
        except (OSError, ValueError) as error:
            problem = str(error)
    raise Failed("nlip_failed", f"{url}: {problem}")


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect could lead inside: it is an error instead."""

    def redirect_request(self, *_):
        return None


def post(url, body, limit):
    request = urllib.request.Request(url, data=body, headers={"content-type": "application/json"}, method="POST")
    with urllib.request.build_opener(NoRedirect()).open(request, timeout=limit) as reply:
        return json.loads(reply.read())


async def run_nlip(run):
    name = run.request.get("agent_name") or "remote"
    run.emit("start", agents=[name], pattern="nlip", max_rounds=1)
    run.message(name, await ask_remote(run, run.request["url"], task_of(run.request), {}))
    run.result("terminated")


# --- The program ------------------------------------------------------------------------------------------------------------------


def hello(run, backend, package, version):
    run.emit(
        "hello", v=PROTOCOL, run_id=run.request.get("run_id"), python=platform.python_version(), backend=backend, package=package, version=version
    )


async def carry_out(run, kind):
    if kind == "nlip":
        hello(run, "nlip", None, None)
        await run_nlip(run)
        return
    loaded = load_tools(run.request)
    backend, package, module, version = find_backend(run.request.get("backend", "auto"))
    hello(run, backend, package, version)
    if backend == "classic":
        await run_classic(module, run, loaded)
    elif kind == "agent":
        await run_single(module, run, loaded)
    else:
        await run_network(module, run, loaded)


def read_controls(run, cancel, lines):
    """Hears what the host says later: the end of standard input says nothing."""
    while True:
        line = lines.get()
        if line is None:
            return
        try:
            control = json.loads(line)
        except ValueError:
            continue
        if control.get("op") == "cancel":
            run.loop.call_soon_threadsafe(cancel)
        elif control.get("op") == "input":
            future = run.inputs.get(control.get("id"))
            if future is not None:
                run.loop.call_soon_threadsafe(lambda: future.done() or future.set_result(control.get("text", "")))


def read_lines(lines):
    for line in sys.stdin.buffer:
        lines.put(line)
    lines.put(None)


def watch_parent(parent):
    """Ends this program when its host is gone, by whatever death."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(130)


def beat(run):
    while not run.output.closed:
        time.sleep(HEARTBEAT_SECONDS)
        run.emit("heartbeat")


async def main_async(run, kind, lines):
    run.loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(carry_out(run, kind))

    def cancel():
        # A step of AG2 or a tool may block its thread for as long as it likes.
        timer = threading.Timer(CANCEL_SECONDS, end_now, args=(run.output,))
        timer.daemon = True
        timer.start()
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            run.loop.add_signal_handler(number, cancel)
        except NotImplementedError:
            signal.signal(number, lambda *_: run.loop.call_soon_threadsafe(cancel))
    threading.Thread(target=read_controls, args=(run, cancel, lines), daemon=True).start()
    threading.Thread(target=beat, args=(run,), daemon=True).start()
    try:
        await task
    except asyncio.CancelledError:
        raise Failed("cancelled", "the run was cancelled") from None


def end_now(output):
    os._exit(fail(output, Failed("cancelled", "the run was cancelled")))


def fail(output, error):
    fields = error.fields if isinstance(error, Failed) else {"detail": "".join(traceback.format_exception(error))[-2000:]}
    kind = error.kind if isinstance(error, Failed) else "internal"
    output.emit("error", kind=kind, message=str(error) or type(error).__name__, **fields)
    if kind == "cancelled":
        return 130
    return 2 if kind in ("bad_request", "protocol_version") else 1


def main():
    output = Output(PROTOCOL_FD)
    threading.Thread(target=watch_parent, args=(os.getppid(),), daemon=True).start()
    lines = queue.Queue()
    threading.Thread(target=read_lines, args=(lines,), daemon=True).start()
    first = lines.get()
    try:
        try:
            request = json.loads(first or b"")
        except ValueError as error:
            raise bad(f"the first line is not JSON: {error}") from error
        kind = check_request(request)
        run = Run(request, output)
        asyncio.run(main_async(run, kind, lines))
        code = 0
    except BaseException as error:
        code = fail(output, error)
    # Threads of AG2 or of a tool may still be busy, and nobody waits for them.
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
