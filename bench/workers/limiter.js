// Stands for the rate limiter of failing networks in bare workerd: nobody fails too often.
import { WorkerEntrypoint } from "cloudflare:workers";

export default class extends WorkerEntrypoint {
  fetch() {
    return new Response(null, { status: 404 });
  }

  limit() {
    return { success: true };
  }
}
