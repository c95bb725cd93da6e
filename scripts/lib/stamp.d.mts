export declare function hashInputs(inputs: {
  paths?: string[];
  words?: string[];
  accept?: (path: string) => boolean;
}): string;
export declare function isFresh(folder: string, name: string, key: string, outputs?: string[]): boolean;
export declare function clearStamp(folder: string, name: string): void;
export declare function writeStamp(folder: string, name: string, key: string, outputs?: string[]): void;
export declare function writeAtomically(path: string, content: string): void;
export declare function readText(path: string): string | undefined;
export declare function filesBelow(path: string): string[];
