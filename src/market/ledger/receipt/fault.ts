/** What is wrong with a receipt: a closed list of codes, each with a sentence about this one. */

export const RECEIPT_FAULTS = [
  'malformed', // the bytes are no receipt
  'wrong-network', // of another network
  'epoch-chain', // the epochs' headers do not lead from the genesis to the receipt's
  'wrong-committee', // the header names another committee than its epoch had
  'unknown-signer', // somebody signed who has no seat
  'broken-chain', // the headers above do not lead to the one that was voted for
  'bad-signature', // a signature is not over this header
  'too-few-signatures', // no quorum
  'broken-path', // the operation with this result is not in the block
] as const

export interface Fault {
  readonly code: (typeof RECEIPT_FAULTS)[number]
  readonly message: string
}

export function faulty(code: Fault['code'], message: string): Fault {
  return { code, message }
}
