/**
 * Every cap that stands against the network, in one place: unit, value, source. Whatever is keyed by something remote
 * has its cap here.
 */

/** Connections of a host. DESIGN 5. */
export const MAX_CONNECTIONS = 128
/** Streams of one connection, either way: those of our protocols, and some to spare. */
export const MAX_STREAMS_PER_CONNECTION = 64
/** Of those, inbound ones of one protocol. DESIGN 5. */
export const MAX_STREAMS_PER_PROTOCOL = 8
/** A control frame. DESIGN 5. */
export const MAX_FRAME_BYTES = 64 * 1024
/** Bytes read but not yet handled, per stream. DESIGN 5. */
export const MAX_READ_BUFFER_BYTES = 256 * 1024
/** Bytes written but not yet taken by the peer, per stream. DESIGN 5. */
export const MAX_WRITE_BUFFER_BYTES = 1024 * 1024
/** Requests of ours that wait for one peer. */
export const MAX_REQUESTS_PER_PEER = 256
/** Requests of ours that wait, in all. */
export const MAX_REQUESTS = 4096
/** Requests of one peer that our handlers work on. */
export const MAX_HANDLING_PER_PEER = 256
/** Contacts in one message: a successor list of an open network and its ends. */
export const MAX_CONTACTS_PER_MESSAGE = 64
/** Short peers of a VHash node: in five dimensions a cell has 89 neighbours on average, and up to 142 of 2,000 were seen. */
export const MAX_SHORT_PEERS = 192
/** Nodes that count a VHash node as a short peer without being one of its own. */
export const MAX_FANS = 32
/** Nodes that a VHash node was only told of, when it chooses whom to ask first: the nearest of them. */
export const MAX_STRANGERS = 512
/** Hops that a lookup may take: 16 times the mean of a ring of a million nodes. */
export const MAX_LOOKUP_HOPS = 128
/** Members told to one who looks for nearer shortcuts. */
export const MAX_NEAR_CONTACTS = 8
/** Contacts seen lately, for one-hop lookups in small networks. */
export const MAX_CACHED_CONTACTS = 512
/** Contacts that stopped answering, remembered so that healed partitions merge. */
export const MAX_LOST_CONTACTS = 64
/** A mergeable register. */
export const MAX_REGISTER_BYTES = 48 * 1024
/** Mergeable registers of a node. Beyond it new ones are refused; what is held is never dropped for them. */
export const MAX_REGISTERS = 16_384
/** Their values, encoded. */
export const MAX_REGISTERS_BYTES = 64 * 1024 * 1024
/** Registers named or carried in one message. */
export const MAX_REGISTERS_PER_MESSAGE = 128
/** Tasks of one job: a bitmap over its level-1 segments then fits a frame twice. */
export const MAX_JOB_TASKS = 2 ** 22
/** The code of a job, all that it imports included. */
export const MAX_CODE_BYTES = 1024 * 1024
/** A job's spec, parameters included: it rides with bundles of tasks. */
export const MAX_SPEC_BYTES = 16 * 1024
/** A segment's partial as it travels. Larger ones are kept as blocks, and travel as links. DESIGN 7. */
export const MAX_PARTIAL_BYTES = 32 * 1024
/** What a task or a fold may give: it is a block then. Sixteen of them, of one run, are what a sandbox may answer. */
export const MAX_RESULT_BYTES = 512 * 1024
/** What a keyed task emits, and what is read and written of one partition: all of it is in a sandbox's memory at once. */
export const MAX_KEYED_BYTES = 16 * 1024 * 1024
/** Parts of a keyed job's output. */
export const MAX_PARTITIONS = 1024
/** What one stage of a job leaves to the next, in its spec. Larger ones are kept as blocks. */
export const MAX_CARRY_BYTES = 4096
/** Stages of one job. */
export const MAX_ROUNDS = 100_000
/** Leaves of a file that is a job's input, 32 bytes each in memory: 256 GiB in leaves of 256 KiB. */
export const MAX_INPUT_BLOCKS = 2 ** 20
/** Leaves of one task, and a line of text: both are in a sandbox's memory at once. */
export const MAX_TASK_BLOCKS = 32
export const MAX_LINE_BYTES = 1024 * 1024
/** A job's value, in its record. */
export const MAX_JOB_VALUE_BYTES = 16 * 1024
/** What the process of one task of foreign code may have in memory: Node, the prelude, and what the code takes. */
export const TASK_MEMORY_BYTES = 512 * 1024 * 1024
/** Jobs under way that one host knows. */
export const MAX_LIVE_JOBS = 256
/** Jobs that ended, remembered so that stragglers can be told. */
export const MAX_ENDED_JOBS = 1024
/** Jobs whose logs one host keeps, and what it keeps of each: lines, and their characters. */
export const MAX_LOGGING_JOBS = 64
export const MAX_LOG_LINES = 1000
export const MAX_LOG_CHARS = 200_000
/** Partials that one host keeps, of all jobs. */
export const MAX_PARTIALS_BYTES = 64 * 1024 * 1024
/** Hosts with queues that a host remembers. */
export const MAX_KNOWN_LOADS = 64
/** Watchers and leaves that wait at one host for news. */
export const MAX_WAITERS = 256
/** Contacts decoded lately, whose ids need not be hashed again. */
export const MAX_WIRE_CONTACTS = 8192
/** Peers, connected or not, whose round-trip times and rates are remembered; prefixes likewise. */
export const MAX_KNOWN_PEERS = 1024
/** Claimed addresses whose dial-back is remembered. */
export const MAX_CONFIRMED_ADDRESSES = 2048
/** Connections to one peer; more than one is left over from dialling each other at once, or a dial-back. */
export const MAX_CONNECTIONS_PER_PEER = 4
/** Connections that one IP may open a second. */
export const MAX_INBOUND_PER_IP_PER_SECOND = 128
/** Dials of ours at once. */
export const MAX_DIALS = 64
/** Dial-backs a second, and at once, that all peers together can make us do. */
export const MAX_DIAL_BACKS_PER_SECOND = 50
/** Of those, for one IP: average a second, and burst. */
export const MAX_DIAL_BACKS_PER_IP_PER_SECOND = 2
export const MAX_DIAL_BACKS_PER_IP_BURST = 16
/** Hellos on one connection: the first, and one for each change of address. */
export const MAX_HELLOS = 8
/** Bytes of one peer, and of one /24, that we read: average a second, and burst. */
export const PEER_BYTES_PER_SECOND = 16 * 1024 * 1024
export const PEER_BYTES_BURST = 8 * 1024 * 1024
export const PREFIX_BYTES_PER_SECOND = 64 * 1024 * 1024
export const PREFIX_BYTES_BURST = 32 * 1024 * 1024
/**
 * Milliseconds of our main thread that one peer's, and one /24's, requests may take: average a second, and burst. By the
 * clock on the wall, which on a busy machine counts others' time too, so generous.
 */
export const PEER_HANDLER_MS_PER_SECOND = 800
export const PEER_HANDLER_MS_BURST = 5000
export const PREFIX_HANDLER_MS_PER_SECOND = 900
export const PREFIX_HANDLER_MS_BURST = 10_000
/** A block. As in IPFS, whose peers refuse more than 1 MiB or 2. DESIGN 5. */
export const MAX_BLOCK_BYTES = 1024 * 1024
/** Links of one block that is read: 1 MiB holds 26,000 to SHA-256 digests. */
export const MAX_DAG_LINKS = 32_768
/** Blocks on the way from a root to a leaf: files need 6, large directories 9 a level. */
export const MAX_DAG_DEPTH = 128
/** Links that were read and wait for their turn, of one reader: some 300 bytes each. */
export const MAX_DAG_PENDING = 262_144
/** Blocks of one DAG that are remembered as read, some 100 bytes each: 512 GiB of file. */
export const MAX_DAG_BLOCKS = 2 ** 21
/** A name in a directory, in bytes of UTF-8: what file systems take. */
export const MAX_NAME_BYTES = 255
/** Directories within each other, so that paths stay below 4 KiB for usual names. */
export const MAX_PATH_DEPTH = 64
/** Names of one directory while it is walked, kept to find doubles. */
export const MAX_DIRECTORY_ENTRIES = 2 ** 20
/** Blocks that one publisher may have at a host, as a share of its store. Peer ids cost nothing: a courtesy, no defence. */
export const PUBLISHER_SHARE = 0.5
/** A block's lease, milliseconds from now. */
export const MAX_LEASE_MS = 30 * 24 * 3_600_000
/** Blocks of others that a host read lately and keeps in memory, bytes. */
export const BLOCK_CACHE_BYTES = 32 * 1024 * 1024
/** Blocks named or carried in one message. */
export const MAX_BLOCKS_PER_MESSAGE = 256
/** Blocks that others told an owner they hold, in all. What is beyond is asked for again when it matters. */
export const MAX_KNOWN_HOLDINGS = 2 ** 20
/** Hosts whose holdings an owner remembers. */
export const MAX_KNOWN_HOLDERS = 256
/** Blocks that were asked for lately, whose readers are remembered. */
export const MAX_WARM_BLOCKS = 1024
/** Bytes of blocks that one host sends for repair: average a second, and burst. */
export const REPAIR_BYTES_PER_SECOND = 8 * 1024 * 1024
export const REPAIR_BYTES_BURST = 4 * 1024 * 1024
/** A frame of the bulk lane: a block, and the envelope and the few fields around it. */
export const MAX_BULK_FRAME_BYTES = MAX_BLOCK_BYTES + 4096
/** Bytes read but not yet handled, per bulk stream: what a peer may send ahead of us. 100 MB/s over 10 ms. */
export const MAX_BULK_READ_BUFFER_BYTES = 1024 * 1024
/** Answers and requests written but not sent, per bulk stream, above which no further ones are made. */
export const MAX_BULK_WRITE_BUFFER_BYTES = 4 * 1024 * 1024
/** Bulk requests of ours that wait for one peer: 16 MiB of 256 KiB blocks. */
export const MAX_BULK_REQUESTS_PER_PEER = 64
/** Bulk requests of ours that wait, in all. */
export const MAX_BULK_REQUESTS = 512
/** Bulk requests of one peer that our handlers work on; each answer may be a block. */
export const MAX_BULK_HANDLING_PER_PEER = 16
/** Bulk requests of one peer that wait for a handler: those of the peer's that are not in work, of 256 KiB each. */
export const MAX_BULK_HELD_BYTES_PER_PEER = 16 * 1024 * 1024
/** Bytes of all bulk streams that are unsent or wait for a handler. Beyond it a peer is served one block at a time. */
export const MAX_BULK_BUFFER_BYTES = 64 * 1024 * 1024
/** The slowest line that blocks are waited for on: 1 MiB in 16 s. */
export const BULK_FLOOR_BYTES_PER_SECOND = 64 * 1024
/** Bulk bytes of one peer, and of one /24, on public addresses: half a Gbit/s, and what a server's line carries. */
export const BULK_PEER_BYTES_PER_SECOND = 64 * 1024 * 1024
export const BULK_PEER_BYTES_BURST = 64 * 1024 * 1024
export const BULK_PREFIX_BYTES_PER_SECOND = 256 * 1024 * 1024
export const BULK_PREFIX_BYTES_BURST = 128 * 1024 * 1024
/** The same on loopback and private addresses, where a peer is one's own: more than a connection can encrypt. */
export const BULK_LOCAL_BYTES_PER_SECOND = 1024 * 1024 * 1024
export const BULK_LOCAL_BYTES_BURST = 256 * 1024 * 1024
/** The value of a signed record, and its name in bytes of UTF-8. */
export const MAX_RECORD_VALUE_BYTES = 4096
export const MAX_RECORD_NAME_BYTES = 256
/** How far ahead a signed record may expire: a year, and a month to renew it. */
export const MAX_RECORD_LIFE_MS = 400 * 24 * 3_600_000
/** Signed records that a host has read or written lately, remembered so that nobody can give it older ones. */
export const MAX_KNOWN_RECORDS = 256
/** Bankers of one committee: its votes go from each to all. DESIGN 9. */
export const MAX_COMMITTEE = 64
/** An operation of the ledger: that of an escrow with all its payees has 2 KiB. */
export const MAX_OPERATION_BYTES = 4096
/** Operations of one block: 1 MiB of transfers. */
export const MAX_BLOCK_OPERATIONS = 4096
/** Chunks of a snapshot of the ledger, all of them in memory while it is read: 1 GiB, of some 8 million accounts. */
export const MAX_SNAPSHOT_CHUNKS = 4096
/** Headers that lead from a block to the one whose certificate made it final: some 200 bytes each. */
export const MAX_HEADERS_ABOVE = 512
/** Payees of one escrow: a share for each fits into one operation. */
export const MAX_ESCROW_PAYEES = 16
/** How far ahead an escrow's deadline may be: a year, and a month. */
export const MAX_ESCROW_LIFE_MS = 400 * 24 * 3_600_000
/** Escrows that one account has open as their payer: who pays for a job stays below it with a job a second. */
export const MAX_OPEN_ESCROWS = 4096
/** Hosts with a bond, all of which are looked at when an epoch ends. */
export const MAX_BANKERS = 4096
/** Operations that wait at a banker, their bytes, and those of one account: half a minute of the ledger's pace. */
export const MAX_WAITING_OPERATIONS = 16_384
export const MAX_WAITING_BYTES = 16 * 1024 * 1024
export const MAX_WAITING_PER_ACCOUNT = 256
/** Those of them with a gap before them, of all accounts: it may never be filled. */
export const MAX_WAITING_EARLY = 1024
/** An offer of the market: all of its fields at their largest are below 600 bytes. */
export const MAX_OFFER_BYTES = 1024
/** Offers that one account may have in the book. */
export const MAX_OFFERS_PER_ACCOUNT = 64
/** Offers in the book of the market, of all accounts. */
export const MAX_BOOK_OFFERS = 100_000
/** How far ahead an offer may expire, and its window end: a month. Prices further ahead are a guess. */
export const MAX_OFFER_LIFE_MS = 31 * 24 * 3_600_000
/** What a host may plausibly offer: 1,024 cores of 1,000,000 MIPS each, 4 TiB of memory, 1 PiB of store. */
export const MAX_OFFER_CORES_MILLI = 1_024_000
export const MAX_OFFER_SPEED_MIPS = 1_000_000
export const MAX_OFFER_MEMORY_BYTES = 2 ** 42
export const MAX_OFFER_STORE_BYTES = 2 ** 50
/** Millicredits for a core-hour of reference speed: what is above is a mistake, and products stay within 2^63. */
export const MAX_PRICE = 10 ** 12
/** Millions of instructions of one task: 1,000 core-hours. Times 10^6 it is still an exact number. */
export const MAX_TASK_WORK_MI = 3_600_000_000
/** Copies of each task of an offer, each on a host of another account. */
export const MAX_OFFER_REPLICAS = 16
/** Keys of the bulletin board for one price slot. */
export const MAX_BOARD_SHARDS = 1024
/** Offers under one key of the board: with the longest of them it is still a register. */
export const MAX_PAGE_OFFERS = 86
/** Of those, of one account. */
export const MAX_PAGE_OFFERS_PER_ACCOUNT = 16
/** An offer on the board: the longest that there is has 545 bytes. */
export const MAX_PAGE_OFFER_BYTES = 560
/** Offers whose signatures were found good, remembered: those of 16 full pages. */
export const MAX_KNOWN_OFFERS = 4096
/** Offers that this node keeps on the board. */
export const MAX_OWN_POSTS = 256
/** Runs of tasks that one window of an allocation names: they fit into an operation. */
export const MAX_WINDOW_RANGES = 256
/** Runs of tasks that are claimed of one job: 40 KiB of the ledger's state. */
export const MAX_CLAIMED_RANGES = 4096
/** Offers of each side that one round of the auction looks at: a fifth of a second of each banker's. */
export const MAX_ROUND_OFFERS = 1024
/** Allocations that are over and still in the ledger's state: 20 MB of it. */
export const MAX_CLOSED_ALLOCATIONS = 20_000
/** Price slots whose trades the ledger's state remembers: 28 days. */
export const MAX_TRADE_SLOTS = 112
/** Parts of an offer's host that are not sold yet: each sale leaves up to two more. */
export const MAX_OFFER_PIECES = 256
/** Jobs of which a host keeps what it has done for money, each for as long as an allocation of it is open. */
export const MAX_WORK_LOGS = 1024
/** Paid jobs of this host's own that it remembers, until all that was contracted for them is over. */
export const MAX_REMEMBERED_JOBS = 1024
/** Openings of one window that one message asks for: 2 KiB each with the longest paths. */
export const MAX_OPENINGS_PER_MESSAGE = 24
/** Windows whose commitments a host has at hand while their customers ask for openings. */
export const MAX_COMMITMENTS = 8
/** Digests of tasks that were done again, or told by suppliers, some 200 bytes each. */
export const MAX_KNOWN_DIGESTS = 65_536
