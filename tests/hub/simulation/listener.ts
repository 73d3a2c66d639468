import type { Selection } from "../../../src/core/channel.ts";
import type { Format } from "../../../src/core/frame.ts";
import { FOREIGN, parsePosition, type Position } from "../../../src/core/position.ts";
import type { Beginning, Subscriber } from "../../../src/hub/subscriber.ts";
import type { Ledger } from "./ledger.ts";
import { Line } from "./line.ts";
import type { Node } from "./node.ts";
import { Violation } from "./truth.ts";
import type { Action } from "./weather.ts";

/** One EventSource: it keeps its last event id over its streams, and a ledger of all that it has seen. */
export class Listener {
  readonly selection: Selection;
  readonly format: Format;
  /** Starts from what is kept, not from now. */
  readonly first: boolean;
  readonly ledger: Ledger;
  /** Makes an id that no stream ever gave, to begin with. */
  readonly invented: (() => string) | null;
  lastId: string | null = null;
  sought: Position | null = null;
  line: Line | null = null;
  subscriber: Subscriber | null = null;
  node: Node | null = null;

  constructor(
    selection: Selection,
    format: Format,
    start: { readonly first: boolean; readonly invented: (() => string) | null },
    ledger: Ledger,
  ) {
    this.selection = selection;
    this.format = format;
    this.first = start.first;
    this.invented = start.invented;
    this.ledger = ledger;
  }

  get name(): string {
    return `the listener on ${this.selection.key} (${this.format})`;
  }

  /** Whether an action would find something to do here. */
  canTake(action: Action): boolean {
    if (action === "connect") return this.line === null;
    if (action !== "receive") return true;
    return this.line !== null && (this.line.unread > 0 || this.line.ended);
  }

  /** What a first connect asks the store for is sought once, before the stream is opened. */
  get seeks(): boolean {
    return this.lastId === null && this.invented === null && this.first && this.sought === null;
  }

  begin(capacity: number): { readonly line: Line; readonly beginning: Beginning } {
    const asked = this.lastId ?? this.invented?.() ?? null;
    const first = asked === null && this.sought !== null;
    this.ledger.connect(asked, { first, invented: this.lastId === null && this.invented !== null });
    this.line = new Line(capacity, this.ledger);
    if (asked !== null) {
      return { line: this.line, beginning: { kind: "resume", after: parsePosition(asked) ?? FOREIGN, asked } };
    }
    const after = this.sought;
    this.sought = null;
    return { line: this.line, beginning: after === null ? { kind: "now" } : { kind: "first", after } };
  }

  receive(count: number): void {
    this.blamed(() => this.line!.receive(count));
    this.lastId = this.line!.lastId ?? this.lastId;
  }

  hangUp(): void {
    this.lastId = this.line?.lastId ?? this.lastId;
    this.line = null;
    this.subscriber = null;
  }

  /** Says in a violation whose it is. */
  blamed(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (error instanceof Violation) error.message = `${this.name}: ${error.message}`;
      throw error;
    }
  }
}
