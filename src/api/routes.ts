/**
 * The control API: what both ends agree on. HTTP over a Unix socket in the host's home, which only its user can open;
 * JSON, and newline-delimited JSON for streams. The seed of the `/v1` API (DESIGN 11).
 *
 *   GET  /v1/status                HostStatus
 *   GET  /v1/peers                 PeerView[]
 *   GET  /v1/sybil                 SybilReport    asks around, for some seconds at most
 *   POST /v1/ping      {target}    {rttMs}
 *   POST /v1/stop                  {}             the process leaves after the answer
 *   POST /v1/jobs      JobRequest  JobView
 *   GET  /v1/jobs                  JobView[]
 *   GET  /v1/jobs/ID               JobView        ID may be a unique prefix, here and below
 *   GET  /v1/jobs/ID/watch         JobView, one per line, until a terminal state
 *   POST /v1/jobs/ID/cancel        JobView
 *   POST /v1/jobs/ID/retry {asOwn?} JobView       the same again, as a new job; `asOwn`: its code is the user's own
 *   GET  /v1/jobs/ID/own           {own}          was it submitted through this host?
 *   GET  /v1/jobs/ID/spec          SpecBody       how it is to be done; of several passes, the last one
 *   GET  /v1/jobs/ID/logs          JobLogLine, one per line; ?follow=1: until the job ends; ?task=N: of one task
 *   POST /v1/placements PlannedJob  JobPlacement  where the tasks of such a job would go; submits nothing
 *
 *   POST /v1/files    bytes        AddedView      ?lines=1: blocks end at line ends; ?pin=0: not pinned
 *   POST /v1/trees    tree         AddedView      a directory; the same questions; `tree` is that of frames.ts
 *   POST /v1/cars     bytes        ImportedView   a CAR file; ?pin=0: its roots are not pinned
 *   GET  /v1/files/REF             bytes          ?offset=N and ?length=N of them. REF is CID or CID/path, here and below
 *   GET  /v1/trees/REF             tree           a file or directory, for writing to disk: its paths are safe
 *   GET  /v1/lists/REF             EntryView, one per line: what a directory holds
 *   GET  /v1/leaves/REF            LeafView, one per line: the blocks of a file's content
 *   GET  /v1/cars/REF              bytes          a CAR file
 *   GET  /v1/pins                  Pin[]
 *   POST /v1/pins/REF              Pin
 *   DELETE /v1/pins/REF            {unpinned}     false: it was not pinned
 *   GET  /v1/blocks/REF            BlockView
 *   POST /v1/records   RecordBody  RecordView     this host's record of a name
 *   GET  /v1/records?peer=P&name=N RecordView
 *   GET  /v1/store                 StoreView
 *
 *   GET  /v1/lend                  LendBody       what is lent now, and why not more
 *   POST /v1/lend      SettingBody LendBody       what is said is different from now on; pausing is one of its fields
 *   POST /v1/lend/measure          LendBody       after the machine has been measured, which takes some seconds
 *
 *   GET  /v1/ledger                LedgerBody     as this host's copy has it; ?here=1: at once, asking no banker whether it
 *                                                 is there
 *   POST /v1/ledger/stand          OutcomeBody    this host stands for the committee; the last operation's outcome
 *   POST /v1/ledger/step-down      SteppedBody    it does not any more; later, its bond comes back
 *   GET  /v1/accounts/ADDRESS      AccountBody    as of now; ?here=1: as this host's copy has it. ADDRESS may be `mine`,
 *                                                 here and below
 *   GET  /v1/accounts/ADDRESS/history EntryBody[] newest first; ?limit=N, at most 1000; ?before=HEIGHT/INDEX
 *   POST /v1/payments  PaymentBody OutcomeBody    from this host's wallet; answers when it is final
 *   GET  /v1/payments/JOB          JobPaymentBody for a job that was submitted through this host
 *   GET  /v1/receipts/HEIGHT/INDEX ReceiptBody
 *
 *   GET  /v1/market/prices         PricesBody     this price slot and the next seven
 *   GET  /v1/market/history        TradedBody[]   slots, the latest last
 *   GET  /v1/market/book           BookBody       what is offered and wanted
 *   GET  /v1/market/sales          SaleBody[]     what this host does for others
 *   POST /v1/market/quote QuoteRequest QuoteBody  one task of the job is done for it
 *   POST /v1/market/jobs  PaidRequest  JobView    a job with a cap
 *   GET  /v1/market/purchases/JOB  PurchaseBody   of a job that was bought through this host
 *   POST /v1/market/mediate {willing} OutcomeBody this host volunteers as a mediator, or does no more; with a bond
 *
 * What needs the committee (stand, step-down, mediate, an account as of now, a payment) takes ?timeoutMs=N. An operation that fails
 * with `wait-timeout` may still come in; one that fails with `timeout`, `busy` or `unreachable` was not sent, and will not be.
 *
 * What is added answers while it is read: a line of `{progress: AddProgress}` now and then, and the view as the last.
 *
 * Errors are `{ error: { code, message } }` with the codes of core/errors.ts; in a stream of lines, such a line is the
 * last. Bytes that fail before their end are cut off, which HTTP tells from an end; a client that says `TE: trailers`
 * gets them whole with such an error, URI-encoded, in the trailer `chorale-error`.
 */
import type { ErrorCode } from '../core/errors.ts'

/** A request body: the largest is a job's parameters. */
export const MAX_BODY_BYTES = 64 * 1024
/** Requests and watches that one host serves at a time. */
export const MAX_API_CONNECTIONS = 64

/** Where the error of a stream of bytes is told. */
export const ERROR_TRAILER = 'chorale-error'

export interface AddProgress {
  /** Of the files, so far. */
  readonly bytes: number
  readonly blocks: number
}

export interface AddedView extends AddProgress {
  readonly cid: string
}

export interface ImportedView extends AddProgress {
  readonly roots: readonly string[]
}

export interface EntryView {
  /** As written by whoever made the directory. */
  readonly name: string
  readonly cid: string
  readonly kind: 'file' | 'directory' | 'symlink'
  /** Of a file. */
  readonly bytes: number | undefined
}

export interface BlockView {
  readonly cid: string
  readonly bytes: number
  /** That answered and hold it, in the replica group or beyond. */
  readonly copies: number
  readonly wanted: number
  readonly holders: ReadonlyArray<{
    readonly peer: string
    readonly address: string
    readonly role: string
    /** Absent: it did not answer. */
    readonly holds?: boolean | undefined
    readonly expiresAtMs?: number | undefined
  }>
}

export interface RecordBody {
  readonly name: string
  /** At most 4096 bytes, in base64. */
  readonly value: string
  readonly expiresAfterMs: number
}

export interface RecordView {
  /** Who signed it. */
  readonly peer: string
  readonly name: string
  /** In base64. */
  readonly value: string
  readonly seq: number
  readonly expiresAtMs: number
}

export interface SpecBody {
  /** dag-cbor, in base64. */
  readonly spec: string
}

/** A leaf of a file, in order: what the tasks of a job are made of. */
export interface LeafView {
  readonly cid: string
  readonly bytes: number
}

export interface ErrorBody {
  readonly error: { readonly code: ErrorCode; readonly message: string }
}

/** What programs that speak plain HTTP see. */
export function httpStatus(code: ErrorCode): number {
  switch (code) {
    case 'usage':
    case 'bad-message':
      return 400
    case 'auth':
      return 403
    case 'not-found':
      return 404
    case 'busy':
    case 'limit':
      return 429
    case 'unreachable':
    case 'no-route':
    case 'not-placed':
      return 503
    case 'timeout':
    case 'wait-timeout':
      return 504
    default:
      return 500
  }
}
