export function matricesNode(): string | undefined;

export function installMatrices(
  aptSources: readonly { path: string; text: string }[],
  say: (text: string) => void,
): string | undefined;
