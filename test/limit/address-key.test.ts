/**
 * Addresses as proxies and hosts write them, and the key that all ways of writing one share. The oracle is Node's own:
 * `SocketAddress` parses, `BlockList` knows which addresses are in one network.
 */
import assert from 'node:assert/strict'
import { BlockList, isIP, SocketAddress } from 'node:net'
import test from 'node:test'
import { addressKey } from '../../lib/limit/address-key.ts'
import { generator } from '../helpers/generator.ts'

const KEYS: Array<[key: string, ...addresses: string[]]> = [
  ['203.0.113.7', '203.0.113.7', '203.0.113.7:40001', '203.0.113.7:1', '::ffff:203.0.113.7', '::FFFF:203.0.113.7', '::ffff:cb00:7107', '0:0:0:0:0:ffff:203.0.113.7', '0000:0000:0000:0000:0000:FFFF:CB00:7107',
    '[::ffff:203.0.113.7]:443', '[203.0.113.7]', '[203.0.113.7]:80', '64:ff9b::203.0.113.7', '64:ff9b::cb00:7107', '::ffff:203.0.113.7%eth0'],
  ['0.0.0.0', '0.0.0.0', '::ffff:0:0', '64:ff9b::'],
  ['2001:db8:0:0::/64', '2001:db8::1', '2001:DB8:0::1', '2001:0db8:0000:0000:0000:0000:0000:0001', '[2001:db8::1]:99', '[2001:db8::1]', '2001:db8::ffff:ffff:ffff:ffff', '2001:db8::', '2001:db8::203.0.113.7'],
  ['2001:db8:1:2::/64', '2001:db8:1:2:3:4:5:6', '2001:db8:1:2::', '2001:db8:1:2:3:4:5::', '2001:db8:1:2::1.2.3.4'],
  ['0:0:0:0::/64', '::', '::1', '::1%lo', '[::1]:3000', '::203.0.113.7', '::fffe:203.0.113.7'],
  ['0:0:0:1::/64', '0:0:0:1::', '::1:0:0:0:0', '::1:0:ffff:203.0.113.7'],
  ['fe80:0:0:0::/64', 'fe80::1%eth0', 'fe80::1', 'FE80::1%25eth0', '[fe80::1%eth0]:80', 'fe80::2'],
  ['64:ff9b:1:0::/64', '64:ff9b:1::203.0.113.7']
]

for (const [key, ...addresses] of KEYS) {
  test(`${key} is the key of ${addresses.join(', ')}`, () => {
    assert.deepEqual(addresses.map(addressKey), addresses.map(() => key))
  })
}

const KEPT = [
  '', 'unknown', 'localhost', '_hidden', '/run/app.sock', ':', '::1::', '[', '[]', '[::1', '::1]', '[::1]x', '[::1]:', '[::1]:http', '203.0.113.7:', '203.0.113.7:http', '203.0.113.256:80', '203.0.113:80', '203.0.113.007:80', ':80', 'example.com:80',
  'g::1', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '12345::', '::ffff:203.0.113.256', '2001:db8::1:', '203.0.113.7, 10.0.0.1', ' ::1', 'x'.repeat(100_000), ':'.repeat(100_000), '['.repeat(100_000)
]

for (const address of KEPT) {
  test(`what is no address is its own key: "${address.slice(0, 40)}"`, () => {
    assert.equal(addressKey(address), address)
  })
}

// ——— any address, in any way of writing it

const { family: V4 } = new SocketAddress({ family: 'ipv4' })

/** Random groups; many are 0 or all ones, as in addresses that are in use. */
function randomGroups (random: () => number): number[] {
  const mapped = random() < 0.25
  return Array.from({ length: 8 }, (_, index) => {
    if (mapped && index < 6) return index === 5 ? 0xffff : 0
    const dice = random()
    return dice < 0.4 ? 0 : dice < 0.5 ? 0xffff : Math.floor(random() * 0x10000)
  })
}

/** One of the ways to write an address (RFC 4291 §2.2), as a proxy may pass it on. */
function write (groups: number[], random: () => number): string {
  const parts = groups.map((group) => group.toString(16).padStart(random() < 0.3 ? 4 : 1, '0'))
  if (random() < 0.3) parts.splice(6, 2, [groups[6]! >> 8, groups[6]! & 255, groups[7]! >> 8, groups[7]! & 255].join('.'))
  let text = parts.join(':')
  const zeros = [...text.matchAll(/(?:^|:)0+(?::0+)*(?=:|$)/g)]
  const run = zeros[Math.floor(random() * zeros.length)]
  if (run !== undefined && random() < 0.7) text = `${text.slice(0, run.index)}::${text.slice(run.index + run[0].length + 1)}`
  if (random() < 0.3) text = text.toUpperCase()
  if (random() < 0.2) text += '%eth0'
  return random() < 0.3 ? `[${text}]:${Math.floor(random() * 65_536)}` : random() < 0.2 ? `[${text}]` : text
}

/** The address without what is not parsed by the oracle, in Node's own form. */
function parse (groups: number[]): SocketAddress {
  return new SocketAddress({ family: 'ipv6', address: groups.map((group) => group.toString(16)).join(':') })
}

test('all ways of writing an address have the key of its network, and no address of another network has it', () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1e9)
  const random = generator(seed)
  for (let i = 0; i < 3_000; i++) {
    const [groups, other] = [randomGroups(random), randomGroups(random)]
    // Often in the same network.
    if (random() < 0.5) other.splice(0, 4, ...groups.slice(0, 4))
    if (random() < 0.5) other.splice(0, 6, ...groups.slice(0, 6))
    const ways = [write(groups, random), write(groups, random), write(other, random)] as const
    for (const way of ways) assert.equal(isIP(way.replace(/^\[|\](:\d+)?$/g, '')), 6, `the test writes ${way}, seed ${seed}`)
    const keys = ways.map(addressKey)
    assert.equal(keys[0], keys[1], `${ways[0]} and ${ways[1]}, seed ${seed}`)
    const [a, b] = [parse(groups), parse(other)]
    const network = new BlockList()
    const v4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/
    const mapped = v4.exec(a.address)?.[1]
    if (mapped === undefined) network.addSubnet(a, 64)
    else network.addAddress(mapped, V4)
    const same = mapped === undefined ? !v4.test(b.address) && network.check(b) : v4.exec(b.address)?.[1] === mapped
    assert.equal(keys[0] === keys[2], same, `${ways[0]} and ${ways[2]}, seed ${seed}`)
    if (mapped !== undefined) assert.equal(keys[0], mapped, `${ways[0]}, seed ${seed}`)
  }
})
