export declare const pinnedVersion: string;

export interface LibTorch {
  root: string;
  lib: string;
  include: string;
  version: string;
  cxx11abi: 0 | 1;
  cuda: boolean;
  source: 'environment' | 'python' | 'system' | 'pip';
  identity: string;
}

export declare function findLibTorch(options: {
  env: NodeJS.ProcessEnv;
  cache: string;
  log: string;
  say?: (line: string) => void;
  systemRoots?: string[];
}): Promise<LibTorch>;
export declare function isUnchanged(found: LibTorch): boolean;
export declare function inspect(
  root: string,
  source: LibTorch['source'],
): { found: LibTorch; problem?: undefined } | { found?: undefined; problem: string };
