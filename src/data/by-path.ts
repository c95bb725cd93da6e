import { fileName } from './part.ts';

/** Values by the path of an image, found by another path too where its file name is there once. */
export class ByPath<T> {
  private readonly exact = new Map<string, T>();
  /** The only path of a file name; null where several share it. */
  private readonly byName = new Map<string, string | null>();

  set(path: string, value: T): void {
    if (!this.exact.has(path)) {
      const name = fileName(path);
      this.byName.set(name, this.byName.has(name) ? null : path);
    }
    this.exact.set(path, value);
  }

  has(path: string): boolean {
    return this.exact.has(path);
  }

  /** Of the path itself, else of the only one with its file name. */
  get(path: string): T | undefined {
    return this.exact.get(path) ?? this.exact.get(this.byName.get(fileName(path)) ?? '');
  }
}
