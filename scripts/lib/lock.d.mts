export declare function takeLock(folder: string, onWait?: (owner: number) => void): Promise<() => void>;
