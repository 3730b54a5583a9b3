/**
 * Loaded before the program (`--import`): a process whose TCP connections from outside die at once, as behind a NAT.
 * It listens and can dial. Sockets of the file system, such as the control socket, are left alone.
 */
import { Server, Socket } from 'node:net'

const emit = Server.prototype.emit

Server.prototype.emit = function (this: Server, event: string | symbol, ...args: unknown[]) {
  const [socket] = args
  if (event === 'connection' && socket instanceof Socket && socket.remoteAddress !== undefined) {
    socket.destroy()
    return true
  }
  return Reflect.apply(emit, this, [event, ...args]) as boolean
}
