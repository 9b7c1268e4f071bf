/**
 * WebSockets, as doors see them: a door that is asked for one answers with a SocketHandler, and is told of
 * what comes over the connection. Framing, pongs to the client's pings and dead connections are Bun's; what
 * is said is the door's.
 */
import type { Socket, SocketHandler } from "./door.ts";

export interface SocketData {
  readonly handler: SocketHandler;
}

type BunSocket = Bun.ServerWebSocket<SocketData>;

/** More than any frame that a client of ours means to send. */
const FRAME_BYTES_MAX = 262_144;
/** Beyond it nothing more is taken for a client that does not read. */
const BUFFERED_BYTES_MAX = 1_048_576;
/**
 * A client that reads nothing for minutes may only be busy (reference of Posthook, 14.6), so the limit is
 * generous. Bun pings it meanwhile; a pong counts as a sign of life.
 */
const IDLE_TIMEOUT_S = 240;
/** RFC 6455 section 7.4.1. */
const INTERNAL_ERROR = 1_011;

export const SOCKET_OPTIONS: Bun.WebSocketHandler<SocketData> = {
  maxPayloadLength: FRAME_BYTES_MAX,
  backpressureLimit: 2 * BUFFERED_BYTES_MAX,
  closeOnBackpressureLimit: true,
  idleTimeout: IDLE_TIMEOUT_S,
  sendPings: true,
  perMessageDeflate: false,
  open: (socket) => guard(socket, () => socket.data.handler.open(wrap(socket))),
  message: (socket, frame) => {
    if (typeof frame === "string") guard(socket, () => socket.data.handler.message(frame));
  },
  close: (socket, code) => socket.data.handler.close(code),
};

export function wantsUpgrade(request: Request): boolean {
  return request.headers.get("upgrade")?.toLowerCase() === "websocket";
}

function wrap(socket: BunSocket): Socket {
  return {
    send: (text) => {
      if (socket.readyState !== WebSocket.OPEN) return false;
      if (socket.getBufferedAmount() > BUFFERED_BYTES_MAX) return false;
      return socket.send(text) !== 0;
    },
    get bufferedBytes() {
      return socket.getBufferedAmount();
    },
    close: (code, reason) => socket.close(code, reason),
    terminate: () => socket.terminate(),
  };
}

/** A mistake in a door must not take the server down with it. */
function guard(socket: BunSocket, act: () => void): void {
  try {
    act();
  } catch {
    socket.close(INTERNAL_ERROR, "internal error");
  }
}
