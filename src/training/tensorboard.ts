export class EventWriter {
  constructor(_folder: string) {}
  scalar(_tag: string, _value: number, _step: number): void {}
  close(): void {}
}
