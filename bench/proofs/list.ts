import { churn } from "./churn.ts";
import { fuzz } from "./fuzz.ts";
import { kill } from "./kill.ts";
import { nodes } from "./nodes.ts";
import type { Proof } from "./proof.ts";
import { redisCluster } from "./redis-cluster.ts";
import { redisFaults } from "./redis-faults.ts";
import { rolling } from "./rolling.ts";
import { soak } from "./soak.ts";
import { stalled } from "./stalled.ts";

export const PROOFS: readonly Proof[] = [kill, churn, stalled, soak, rolling, fuzz, nodes, redisFaults, redisCluster];
