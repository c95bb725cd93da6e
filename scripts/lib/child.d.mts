export declare function runForeground(
  command: string,
  args: string[],
  options?: { cwd?: string; env?: NodeJS.ProcessEnv; looks?: boolean },
): Promise<number>;
