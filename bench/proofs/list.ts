import { kill } from "./kill.ts";
import type { Proof } from "./proof.ts";
import { rolling } from "./rolling.ts";

export const PROOFS: readonly Proof[] = [kill, rolling];
