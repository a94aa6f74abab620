/** What a code means for whoever meets it. */
interface Meaning {
  /** Whether the same work may succeed later without anybody changing anything. */
  readonly retryable: boolean
  /** What it stops: one row, one file, or the whole run. */
  readonly stops: 'row' | 'file' | 'run'
  /** One sentence: what to do. */
  readonly advice: string
}

const run = (retryable: boolean, advice: string): Meaning => ({ retryable, stops: 'run', advice })
const file = (retryable: boolean, advice: string): Meaning => ({ retryable, stops: 'file', advice })
const row = (reason: string, advice: string) => ({ retryable: false, stops: 'row', advice, reason }) as const

/** Every code, in the order data meets the stages. `docs/errors.md` has a heading for each. */
const catalogue = {
  CONFIG_INVALID: run(false, 'Correct the option that the message names.'),
  CONFIG_MISSING_PEER: run(false, 'Install the package that the message names beside @intelliwatt/smt-ingest.'),
  ABORTED: run(true, 'Run again; whatever was not committed starts afresh.'),
  UNEXPECTED: file(true, 'This is a fault of the program; report it with its cause.'),

  API_WRONG_PLACE: run(
    false,
    'Ask SMT from the server whose address is on its allow list, never from Vercel, an edge runtime or a browser.'
  ),
  API_CONNECT: run(true, 'Check the base URL, the name service and the network of this machine, then run again.'),
  API_TLS: run(
    false,
    'Check the clock of this machine and whether something stands between it and SMT; the certificate does not hold.'
  ),
  API_TIMEOUT: run(
    true,
    'Ask SMT whether the address of this machine is on its allow list: to others it keeps silent. Else run again.'
  ),
  API_DISCONNECTED: run(true, 'The connection broke before the answer was whole; run again.'),
  API_GATEWAY: run(true, 'SMT, or a gateway before it, could not answer; run again later.'),
  API_RATE_LIMIT: run(true, 'SMT wants fewer calls; wait as long as retryAfterMs says, then run again.'),
  API_NOT_ADMITTED: run(false, 'Ask SMT whether the address of this machine is on its allow list.'),
  API_REDIRECT: run(false, 'Correct the base URL; nothing is sent to where an answer points.'),
  API_CREDENTIALS: run(false, 'Check user name and password of the API service account; they are not tried again.'),
  API_UNAUTHORIZED: run(
    false,
    'Check that requestorID is the user name of the token, and that an agreement for the meter is active.'
  ),
  API_REFUSED: run(false, 'Correct what the message names; SMT would refuse the same call again.'),
  API_FAULT: file(false, 'SMT took the call and did not do it; correct what its words in the message name.'),
  API_NO_DATA: file(true, 'SMT has nothing for this meter and these days yet; ask again later.'),
  API_UNCERTAIN: run(false, 'SMT may have done it: look it up in its lists before asking again.'),
  API_ANSWER: run(false, 'SMT answered what it is not known to answer; report the message to us.'),

  SFTP_CONNECT: run(true, 'Check host and port, and whether the server admits the address of this machine.'),
  SFTP_HOST_KEY_UNKNOWN: run(
    false,
    'Compare the fingerprint with the one the server’s owner gives you, then pass it as hostKey.'
  ),
  SFTP_HOST_KEY_MISMATCH: run(
    false,
    'Ask the server’s owner whether the key was changed; only then pin the new fingerprint.'
  ),
  SFTP_HOST_KEY_TYPE: run(
    false,
    'The server has no key of the pinned type; ask its owner for the fingerprint of a key it has.'
  ),
  SFTP_AUTH: run(false, 'Check the user name and the key or password; the server refused every one it was offered.'),
  SFTP_DEADLINE: run(true, 'The server did not answer in time; run again, and raise operationTimeoutMs if it is slow.'),
  SFTP_TOO_SLOW: run(
    true,
    'The server gave too little in too long a time; run again, and lower minBytesPerSecond if the line is no better.'
  ),
  SFTP_BUSY: run(true, 'Other loops of this process have all its sessions; end one of them, or raise maxSessions.'),
  SFTP_DISCONNECTED: run(true, 'The connection broke; run again.'),
  SFTP_SESSION_CLOSED: run(false, 'Read each file inside the files() loop that offered it; the session ends with it.'),
  SFTP_NO_SUCH_DIRECTORY: run(false, 'Correct the directory; the other directories were read.'),
  SFTP_LIST: run(true, 'The directory could not be listed; a failed listing never counts as empty. Run again.'),
  SFTP_NO_SUCH_FILE: file(true, 'The file went away between the listing and the reading; nothing to do if it moved.'),
  SFTP_PERMISSION: file(
    false,
    'Ask the server’s owner for read permission, then run again with the quarantined files retried.'
  ),
  SFTP_READ: file(true, 'The server failed to read this file; run again.'),
  SFTP_DISPOSE: file(true, 'The store has the file; the server did not let it be deleted or moved. Ask its owner.'),

  DIRECTORY_NOT_FOUND: run(false, 'Correct the directory; the other directories were read.'),
  DIRECTORY_LIST: run(true, 'The directory could not be listed; a failed listing never counts as empty.'),
  FILE_NOT_FOUND: file(true, 'The file went away between the listing and the reading; nothing to do if it moved.'),
  FILE_PERMISSION: file(
    false,
    'Give this user read permission on the file, then run again with the quarantined files retried.'
  ),
  FILE_READ: file(true, 'The file could not be read; run again.'),
  FILE_DISPOSE: file(
    true,
    'The store has the file; it could not be deleted or moved. Check permissions and disk space.'
  ),

  TRANSFER_INCOMPLETE: file(
    true,
    'Fewer or more bytes arrived than the listing promised; the next run reads it again.'
  ),
  TRANSFER_CHANGED: file(true, 'The file changed while it was read; the next run reads it again.'),
  TRANSFER_UNREAD: file(true, 'Read the file to its end before asking for its verification.'),

  KEY_UNREADABLE: run(false, 'Give an armored or binary OpenPGP private key (gpg --export-secret-keys).'),
  KEY_PASSPHRASE: run(false, 'Give the passphrase of the OpenPGP private key.'),
  SIGNER_UNREADABLE: run(false, 'Give armored or binary OpenPGP public keys of the signers (gpg --export --armor).'),
  DECRYPT_NO_KEY: file(
    false,
    'Add the private key that the message names, then run again with the quarantined files retried.'
  ),
  DECRYPT_TRUNCATED: file(false, 'The message ends too early; ask for the file to be delivered again.'),
  DECRYPT_CORRUPT: file(false, 'The message was altered or damaged; ask for the file to be delivered again.'),
  DECRYPT_NO_INTEGRITY: file(
    false,
    'The message carries no integrity packet, so nobody can tell whether it was altered; ask for a modern encryption.'
  ),
  DECRYPT_SIGNATURE: file(
    false,
    'An allowed signer’s signature does not hold, so nobody knows who made the content; ask for a new signed file.'
  ),
  DECRYPT_NO_SIGNATURE: file(
    false,
    'Ask for a file that an allowed signer has signed, or add the signer; then run again with the quarantined files retried.'
  ),
  DECRYPT_NOT_ENCRYPTED: file(false, 'The message is signed or packed but not encrypted; ask for an encrypted file.'),
  DECRYPT_IS_KEY: file(false, 'This is an OpenPGP key, not a report; take it out of the folder.'),
  DECRYPT_IS_SIGNATURE: file(false, 'This is a detached signature, not a report; take it out of the folder.'),
  DECRYPT_TOO_LARGE: file(
    false,
    'Look at what sent it; raise maxPayloadBytes only if a file of that size is expected.'
  ),
  DECRYPT_UNSUPPORTED: file(false, 'The message uses a cipher or packet that is not supported; ask for AES-256.'),

  ZIP_CORRUPT: file(false, 'The archive is damaged; ask for the file to be delivered again.'),
  ZIP_TRUNCATED: file(false, 'The archive ends too early; ask for the file to be delivered again.'),
  ZIP_CRC: file(false, 'A member’s checksum does not match its bytes; ask for the file to be delivered again.'),
  ZIP_SIZE: file(false, 'A member’s size does not match its bytes; ask for the file to be delivered again.'),
  ZIP_DIRECTORY: file(
    false,
    'The archive’s directory lists something else than the archive holds; ask for the file to be delivered again.'
  ),
  ZIP_ENCRYPTED: file(false, 'A member is protected by a ZIP password; ask for a plain archive inside the message.'),
  ZIP_UNSUPPORTED: file(false, 'A member is packed in a way that cannot be read as a stream; ask for deflate.'),
  ZIP_LIMIT: file(
    false,
    'The archive unpacks to more than it may; if you trust its sender, raise the limit that the message names in archiveLimits.'
  ),

  PARSE_EMPTY: file(false, 'The file has no bytes at all; ask for it to be delivered again.'),
  PARSE_UNOPENED: file(
    false,
    'Open the file before it is parsed: give the OpenPGP key, or unpack it; then run again with the quarantined files retried.'
  ),
  PARSE_NO_ROWS: file(false, 'There is a header and no row below it; ask whether the report was meant to be empty.'),
  PARSE_HTML: file(false, 'This is a web page, most likely an error page saved as a report; fetch the report again.'),
  PARSE_SPREADSHEET: file(false, 'This is an Excel workbook; save it as CSV, or take the file as SMT sent it.'),
  PARSE_UTF16: file(false, 'The text is UTF-16; save it as UTF-8, or take the file as SMT sent it.'),
  PARSE_SEPARATOR: file(false, 'The columns are not separated by commas; save the file with commas.'),
  PARSE_MISSING_COLUMN: file(false, 'A column is missing; take the file as SMT sent it.'),
  PARSE_DUPLICATE_COLUMN: file(false, 'A column stands twice in the header; take the file as SMT sent it.'),
  PARSE_UNKNOWN_HEADER: file(
    false,
    'The name promises intervals but the header is not known; report the header to us.'
  ),
  LAYOUT_UNVERIFIED: file(
    false,
    'Nobody could show us a real file of this layout, so it is not guessed at; send us one, or ask for the CSV report.'
  ),
  PARSE_XML: file(false, 'The XML is damaged, cut off or not UTF-8; fetch the file again.'),
  PARSE_XML_REFUSED: file(
    false,
    'The XML has a DOCTYPE, or is deeper or longer than any report; take the file as SMT sent it.'
  ),
  PARSE_GREEN_BUTTON_METER: file(
    false,
    'The feed names no meter, several, or another than the one given; give the ESIID, or take a file of one meter.'
  ),
  PARSE_GREEN_BUTTON_TYPE: file(
    false,
    'The feed does not say what its readings are (Wh, delivered or received); report the file to us.'
  ),
  PARSE_GREEN_BUTTON_CLOCK: file(
    false,
    'Nothing proves whether the times are UTC or Texas wall clock, or blocks disagree; give the clock if you know it.'
  ),
  PARSE_GREEN_BUTTON_SHAPE: file(
    false,
    'The parts of the feed do not stand where they can be put together; report the file to us.'
  ),
  PARSE_JSON: file(
    false,
    'The JSON is damaged, cut off, not UTF-8 or too long in one piece; ask for the answer again.'
  ),
  PARSE_READ_LIST: file(
    false,
    'The parts of the JSON answer do not stand where they can be put together; report the answer’s shape to us.'
  ),
  PARSE_LINE_TOO_LONG: file(false, 'A line is longer than any row can be; the file is not what its header says.'),
  PARSE_TOO_MANY_REJECTS: file(
    false,
    'Look at the row codes that the message counts; raise maxRejects only if the rest is wanted without those rows.'
  ),

  PARSE_HANDLER: file(
    true,
    'Look at the cause: it is the error of your own handler. The next run gives it the entry again.'
  ),

  ROW_CELL_COUNT: row(
    'the row has more or fewer cells than the header',
    'The row has more or fewer cells than the header; look at the line.'
  ),
  ROW_UNCLOSED_QUOTE: row(
    'a quotation mark is opened and not closed',
    'A quotation mark is opened and not closed on its line; look at the line.'
  ),
  ROW_BAD_ESIID: row(
    'the ESIID is not 17 or 22 digits that begin with 10',
    'An ESIID is 17 or 22 digits and begins with 10; look at the line.'
  ),
  ROW_ESIID_AS_NUMBER: row(
    'the ESIID was turned into a rounded number',
    'A spreadsheet turned the ESIID into a number and its digits are lost; take the file as SMT sent it.'
  ),
  ROW_BAD_DATE: row('the usage date is not a date', 'Dates are MM/DD/YYYY; look at the line.'),
  ROW_TWO_DIGIT_YEAR: row(
    'the year has two digits',
    'The year has two digits; save the file with four, or take it as SMT sent it.'
  ),
  ROW_BAD_REVISION: row(
    'the revision is not a date with a time',
    'A revision is MM/DD/YYYY HH:MM:SS or blank; look at the line.'
  ),
  ROW_BAD_TIME: row('a time is not on the clock', 'Times are HH:MM from 00:00 to 24:00; look at the line.'),
  ROW_TWELVE_HOUR_CLOCK: row(
    'a time is on a 12-hour clock',
    'Times are on a 24-hour clock; save the file without AM and PM.'
  ),
  ROW_NOT_15_MINUTES: row(
    'start and end are not those of a quarter hour',
    'The row is not one of the day’s quarter hours; only 15-minute intervals are taken.'
  ),
  ROW_OTHER_LENGTH: row(
    'the interval is 30 or 60 minutes long',
    'Intervals of 15 minutes are expected; where others are wanted, name them in IntervalParser’s intervalMinutes.'
  ),
  ROW_NONEXISTENT_HOUR: row(
    'there is a reading for the hour that spring skips',
    'The clock skipped this hour in spring, so there cannot be a reading; ask SMT.'
  ),
  ROW_AMBIGUOUS_HOUR: row(
    'the row may belong to either pass of the repeated autumn hour',
    'The repeated autumn hour is out of order here, so nobody can tell its two passes apart; take the file as SMT sent it.'
  ),
  ROW_BAD_LIST: row(
    'the day’s list of readings does not fit the day',
    'The list has more or fewer positions than the day can have, or gaps that leave its order open; ask for the CSV report.'
  ),
  ROW_BAD_KWH: row(
    'kWh is not a plain decimal number',
    'A reading is a plain decimal number, or blank for no reading; look at the line.'
  ),
  ROW_NEGATIVE_KWH: row(
    'kWh is negative',
    'Both directions are written with positive numbers; ask SMT what a negative one means.'
  ),
  ROW_KWH_OUT_OF_RANGE: row(
    'kWh has more than seven digits before the point or five after it',
    'A reading has at most seven digits before the point and five after it; look at the line.'
  ),
  ROW_BAD_FLAG: row('the flag is neither A nor E', 'ESTIMATED_ACTUAL is A or E; look at the line.'),
  ROW_BAD_DIRECTION: row(
    'the direction is neither of the two',
    'The direction is Consumption or Surplus Generation; look at the line.'
  ),

  ROW_BAD_QUOTE: row(
    'a quotation mark stands inside a cell',
    'A quotation mark stands inside a cell that does not begin with one, or something follows the closing one; look at the line.'
  ),
  ROW_BAD_PERIOD: row(
    'the period ends before it begins',
    'The end of the billed period is before its start; look at the line.'
  ),
  ROW_BAD_NUMBER: row(
    'a number is not a plain decimal',
    'Register readings, kWh, kW and kVA are plain decimals or blank; look at the line.'
  ),
  ROW_NEGATIVE_NUMBER: row(
    'a number is negative',
    'Register readings, kWh, kW and kVA are not negative; ask SMT what a negative one means.'
  ),
  ROW_NUMBER_OUT_OF_RANGE: row(
    'a number has more than nine digits before the point or five after it',
    'Register readings, kWh, kW and kVA have at most nine digits before the point and five after it; look at the line.'
  ),

  STORE_BUSY: run(true, 'Another process holds the store; wait for it to end, or give this one a store of its own.'),
  STORE_UNREACHABLE: run(true, 'The database cannot be reached; check that it runs and its address, then run again.'),
  STORE_OPEN: run(false, 'The store could not be opened; check its path, its permissions and its version.'),
  STORE_WRITE: run(true, 'The store refused to write; check disk space and permissions, then run again.'),
  STORE_EXPORT: run(
    true,
    'The export could not be written; check the directory, its permissions and the space on its disk, then run again.'
  ),
  STORE_FENCED: file(true, 'Another worker took this file over meanwhile; its result stands.'),
  SINK_NO_ACCOUNT: file(false, 'End the stream with the FileAccount that IntervalParser gives last.'),
  SINK_INTERVAL_LENGTH: file(
    false,
    'The store holds quarter hours; take intervals of other lengths into a sink that says how long they are.'
  ),
  SINK_ROW_EQUATION: file(false, 'The counts of rows do not add up; this is a fault of a stage, report it to us.'),

  HTTP_UNREACHABLE: run(
    true,
    'The receiver could not be reached, or did not answer in time; check that it runs and its address, then run again.'
  ),
  HTTP_TLS: run(
    false,
    'The receiver’s certificate does not hold; have it renewed, or correct the host in the address.'
  ),
  HTTP_UNAUTHORIZED: run(false, 'The receiver refused the secret or token; compare both sides, and their clocks.'),
  HTTP_BUSY: run(true, 'The receiver asked to be left alone for longer than may be waited; run again later.'),
  HTTP_TOO_LARGE: run(false, 'Something on the way takes no body of this size; lower maxBytes.'),
  HTTP_FAILED: run(true, 'The receiver failed, several times over; look at its log, then run again.'),
  HTTP_ANSWER: run(false, 'The answer is not the receiver’s; check that the address is the one of its route.'),
  HTTP_REFUSED: file(false, 'The receiver refuses what the file holds; look at its message and its log.'),
  HTTP_PARTS_MISSING: file(true, 'The receiver no longer has what it was sent; the next run sends it again.'),
  HTTP_NOT_STORED: file(
    false,
    'The receiver said yes and stored nothing; look at its log and at the window of days it takes, then retry the file.'
  ),

  RECEIVE_SIGNATURE: file(false, 'No secret of the receiver fits the message; give both sides the same one.'),
  RECEIVE_TIMESTAMP: file(true, 'The message is from another time; set the clocks of both sides.'),
  RECEIVE_TOO_LARGE: file(false, 'The message is larger than it may be; lower maxBytes or maxRows of the sender.'),
  RECEIVE_TIMEOUT: file(true, 'The message did not arrive in time; the sender sends it again.'),
  RECEIVE_BODY: file(
    false,
    'The message is not one of this protocol; use the same version of the package on both sides.'
  ),
  RECEIVE_FENCED: file(true, 'A later claim of the file is known; whoever has it goes on.'),
  RECEIVE_PARTS_MISSING: file(true, 'Parts that the commit lists are not staged; the sender sends them again.'),
  RECEIVE_OTHER_CONTENT: file(false, 'The file is in with other content; find out which of the two is right.')
} as const satisfies Record<string, Meaning>

/** The stable name of one problem. */
export type ErrorCode = keyof typeof catalogue

/** Every {@link ErrorCode}, in the order of `docs/errors.md`. */
export const errorCodes = Object.keys(catalogue) as readonly ErrorCode[]

/** Codes of single rows: those that reject a row and let its file go on. */
export type RowCode = Extract<ErrorCode, `ROW_${string}`>

/** What to do about a code, in one sentence. */
export function adviceFor(code: ErrorCode): string {
  return catalogue[code].advice
}

/** What a row's code says of it, in a few words. */
export function reasonFor(code: RowCode): string {
  return catalogue[code].reason
}

/** What a code means. */
export function meaningOf(code: ErrorCode): Meaning {
  return catalogue[code]
}
