/** Loaded before an example that is for a browser: gives it the EventSource that browsers have. */
import { EventSource } from "eventsource";

Object.assign(globalThis, { EventSource });
