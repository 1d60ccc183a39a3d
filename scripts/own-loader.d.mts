export function matricesNode(): string | undefined;
