export interface LockEntry {
  version?: string;
  dev?: boolean;
  optional?: boolean;
  devOptional?: boolean;
  link?: boolean;
  os?: string[];
  cpu?: string[];
  libc?: string[];
}

export interface LockFile {
  packages: Record<string, LockEntry>;
}

export function missingPackages(
  lock: LockFile,
  installed: LockFile | undefined,
  options: { runtimeOnly: boolean; platform: string; arch: string },
): string[];
