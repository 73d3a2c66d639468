/** `<epoch>-<seq>`, as docs/protocol.md has it. */
export function epochOf(id: string): string {
  return id.slice(0, id.lastIndexOf("-"));
}

export function seqOf(id: string): number {
  return Number(id.slice(id.lastIndexOf("-") + 1));
}

/** Whether both are of one epoch and the first is the later one. Of two epochs nothing can be said. */
export function comesAfter(id: string, other: string): boolean {
  return epochOf(id) === epochOf(other) && seqOf(id) > seqOf(other);
}
