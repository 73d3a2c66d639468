import { kill } from "./kill.ts";
import type { Proof } from "./proof.ts";

export const PROOFS: readonly Proof[] = [kill];
