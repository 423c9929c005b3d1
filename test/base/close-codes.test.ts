import assert from 'node:assert/strict'
import test from 'node:test'
import { CAUSE_CODES, CloseCode, escapeReason, foldCode, invitesBack, isSendable, MAX_REASON_BYTES, retryIn, truncateReason, withRetry } from '../../lib/base/close-codes.ts'

test('sendable are 1000-1003, 1007-1014 and 3000-4999, and nothing else', () => {
  const sendable = Array.from({ length: 6000 }, (_, code) => code).filter(isSendable)
  const expected = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, ...Array.from({ length: 2000 }, (_, i) => 3000 + i)]
  assert.deepEqual(sendable, expected)
})

for (const code of [undefined, null, '1000', 1000.5, NaN, Infinity, -1000, 1000n, [1000], { valueOf: () => 1000 }]) {
  test(`not sendable: ${typeof code} ${String(code)}`, () => {
    assert.equal(isSendable(code), false)
  })
}

test('every code of ours may be sent, and the reserved ones are not among them', () => {
  for (const [name, code] of Object.entries(CloseCode)) assert.ok(isSendable(code), name)
})

test('codes are folded into a few: those with a registered meaning by number, the others by their range', () => {
  const folded = new Map<string, number>()
  for (let code = 0; code < 6_000; code++) folded.set(foldCode(code), (folded.get(foldCode(code)) ?? 0) + 1)
  for (const range of ['library', 'private', 'other']) folded.delete(range)
  assert.deepEqual([...folded.keys()], [
    '1000', '1001', '1002', '1003', '1005', '1006', '1007', '1008', '1009', '1010', '1011', '1012', '1013', '1014', '3000', '3003', '3008', '4001', '4008'
  ])
  assert.deepEqual([...folded.values()].filter((count) => count !== 1), [])
  assert.deepEqual([999, 1004, 1015, 2999, 3001, 3999, 4000, 4999].map(foldCode), ['other', 'other', 'other', 'other', 'library', 'library', 'private', 'private'])
})

test('every cause has a code of ours, or none', () => {
  const codes = new Set<number>(Object.values(CloseCode))
  for (const [cause, code] of Object.entries(CAUSE_CODES)) assert.ok(code === undefined || codes.has(code), cause)
})

test('a restart is never told with 1000', () => {
  for (const cause of ['drain', 'leave', 'lifetime', 'rebalance'] as const) assert.notEqual(CAUSE_CODES[cause], CloseCode.NormalClosure)
})

test('a reason of 123 bytes is left as it is', () => {
  for (const reason of ['', 'a', 'a'.repeat(123), 'é'.repeat(61), '€'.repeat(41), '😀'.repeat(30)]) assert.equal(truncateReason(reason), reason)
})

test('a reason is cut at 123 bytes', () => {
  assert.equal(truncateReason('a'.repeat(124)), 'a'.repeat(123))
})

// Characters of 1 to 4 bytes of UTF-8, shifted over every position of the cut.
for (const [character, bytes] of [['a', 1], ['é', 2], ['€', 3], ['😀', 4]] as const) {
  test(`a reason is cut between characters of ${bytes} bytes`, () => {
    for (let shift = 0; shift < 4; shift++) {
      const cut = truncateReason('x'.repeat(shift) + character.repeat(200))
      assert.equal(cut, 'x'.repeat(shift) + character.repeat(Math.floor((MAX_REASON_BYTES - shift) / bytes)))
    }
  })
}

test('half a surrogate pair is counted as the replacement character it is sent as', () => {
  for (const reason of ['\ud83d'.repeat(200), 'a' + '\ude00'.repeat(41), 'a\ud83d' + '😀'.repeat(40)]) {
    const cut = truncateReason(reason)
    assert.ok(Buffer.byteLength(cut) <= MAX_REASON_BYTES)
    assert.ok(Buffer.byteLength(cut) > MAX_REASON_BYTES - 4)
  }
})

test('a cut to no bytes leaves nothing', () => {
  assert.equal(truncateReason('€uro', 0), '')
  assert.equal(truncateReason('€uro', 2), '')
  assert.equal(truncateReason('€uro', 3), '€')
})

test('the delay follows the reason', () => {
  assert.equal(withRetry('service restart', 4210), 'service restart; retry=4210')
})

test('a delay is read as it was written', () => {
  for (const delay of [0, 7, 4210, 999_999_999]) {
    for (const reason of ['', 'service restart', 'é'.repeat(100), 'retry=5']) assert.equal(retryIn(withRetry(reason, delay)), delay)
  }
  for (const reason of ['', 'retry', 'retry=', 'retry=x', 'retry=-5', 'noretry=5', 'retry=5 later', `retry=${'9'.repeat(10)}`]) assert.equal(retryIn(reason), 0)
})

test('codes that let a client come back are those of our own that it should answer so', () => {
  assert.deepEqual(Object.values(CloseCode).filter(invitesBack), [1001, 1012, 1013, 3000, 3008, 4008])
})

test('the delay stands alone where there is no reason', () => {
  assert.equal(withRetry('', 1000), 'retry=1000')
})

test('the delay is in whole milliseconds', () => {
  assert.equal(withRetry('x', 1000.4), 'x; retry=1000')
})

test('the delay survives where the reason must be cut, and together they are at most 123 bytes', () => {
  for (const character of ['a', 'é', '€', '😀', '\ud83d']) {
    for (const delay of [0, 7, 60_000, 2 ** 31, 1e21]) {
      for (let length = 90; length < 130; length++) {
        const reason = withRetry(character.repeat(length), delay)
        assert.ok(Buffer.byteLength(reason) <= MAX_REASON_BYTES)
        assert.ok(reason.endsWith(`; retry=${delay}`))
      }
    }
  }
})

test('a peer\'s ordinary reason is shown as it is', () => {
  assert.equal(escapeReason('going away; später mehr 😀'), 'going away; später mehr 😀')
})

test('a peer\'s reason cannot forge a line or terminal output', () => {
  assert.equal(escapeReason('a\r\nb\u001b[31m\u0000\u007f\u0085\u2028\u2029'), 'a\\u000d\\u000ab\\u001b[31m\\u0000\\u007f\\u0085\\u2028\\u2029')
})

test('a peer\'s reason cannot turn the direction of what is shown', () => {
  for (const code of [0x200e, 0x200f, 0x061c, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069]) {
    assert.equal(escapeReason(String.fromCharCode(code)), `\\u${code.toString(16).padStart(4, '0')}`)
  }
})

test('a peer\'s long reason is cut and marked as cut', () => {
  assert.equal(escapeReason('a'.repeat(64)), 'a'.repeat(64))
  assert.equal(escapeReason('a'.repeat(65)), 'a'.repeat(64) + '…')
})

test('a peer\'s reason is cut between characters', () => {
  const shown = escapeReason('a' + '😀'.repeat(32))
  assert.equal(Buffer.from(shown).toString(), shown)
  assert.ok(shown.endsWith('😀…'))
})
