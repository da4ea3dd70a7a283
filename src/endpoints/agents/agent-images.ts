import { resolveInside } from './agent-paths.ts';
import type { LaunchContext } from './agent-program.ts';
import { imageExtension } from './agent-prompt.ts';

/** The files of a prompt's pictures: those given as data are written into the run's private folder, which is removed after it. */
export function writeImages({ prompt, workspace, temporary }: LaunchContext): string[] {
  return prompt.images.map((image) =>
    image.kind === 'file'
      ? resolveInside('messages.content.image_url', image.path, workspace)
      : temporary.write(`image.${imageExtension(image.mediaType)}`, Buffer.from(image.base64, 'base64')),
  );
}
