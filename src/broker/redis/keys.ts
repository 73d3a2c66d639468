import type { AppId } from "../broker.ts";

/** The names under which Redis has what is an app's. The braces keep all of it in one slot of a Cluster. */
export class Keys {
  /** The app's record; the scripts make the other keys' names of it. */
  readonly app: string;
  readonly notes: string;
  /** What is announced; announcements are of all databases of a server. */
  readonly word: string;

  constructor(app: AppId, database: number) {
    const prefix = `socket:{${app}}:`;
    this.app = `${prefix}app`;
    this.notes = `${prefix}notes`;
    this.word = `${prefix}${database}:`;
  }

  /** What every node listens to: notes, questions, and that a new epoch began. */
  get forEveryNode(): string {
    return `${this.word}word`;
  }

  get all(): string {
    return `${this.word}all`;
  }

  channel(name: string): string {
    return `${this.word}channel:${name}`;
  }

  node(id: string): string {
    return `${this.word}node:${id}`;
  }

  /** What other nodes answer a node. */
  answers(node: string): string {
    return `${this.word}answers:${node}`;
  }
}
