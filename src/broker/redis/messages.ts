import type { Message } from "../../core/message.ts";

/** A message as the scripts write it. */
export type Written = [seq: number, time: number, channel: string, event: string | null, json: number, data: string];

export function messageOf(epoch: string, [seq, time, channel, event, json, data]: Written): Message {
  return { channel, event, data, json: json === 1, epoch, seq, time };
}
