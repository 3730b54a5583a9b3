/** Which address of this machine a node listens on, when nobody says. */
import { createSocket } from 'node:dgram'
import { ChoraleError } from '../core/errors.ts'
import { endpoint } from './values.ts'

/** The address of this machine that leads to the first node to join; loopback for a network of its own. */
export async function addressToward(bootstrap: readonly string[]): Promise<string> {
  const [first] = bootstrap
  if (first === undefined) return '127.0.0.1'
  const { ip, port } = endpoint('--bootstrap', { anyPort: false })(first)
  const socket = createSocket(ip.includes(':') ? 'udp6' : 'udp4')
  try {
    // Connecting a datagram socket sends nothing; the system only chooses the way.
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.connect(port, ip, resolve)
    })
    return socket.address().address
  } catch {
    throw new ChoraleError('unreachable', `no way to ${first}: check the address, and the network of this machine`)
  } finally {
    socket.close()
  }
}
