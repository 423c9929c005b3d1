/**
 * A key and a self-signed certificate for TLS servers in tests, made on the spot: nothing to expire, no openssl.
 *
 * X.509 version 1 (RFC 5280 §4.1) in DER (X.690), an ECDSA key on P-256; for clients that do not verify.
 */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'

const DAY = 86_400_000

/** One DER value: tag, length, content. */
function der (tag: number, ...content: Buffer[]): Buffer {
  const body = Buffer.concat(content)
  const { length } = body
  const head = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from([tag, ...head]), body])
}

const sequence = (...content: Buffer[]) => der(0x30, ...content)
const objectId = (hex: string) => der(0x06, Buffer.from(hex, 'hex'))
const utcTime = (time: number) => der(0x17, Buffer.from(`${new Date(time).toISOString().slice(2, 19).replace(/\D/g, '')}Z`))

/** Key and certificate as PEM, for `https: { … }`. */
export function makeCertificate (): { key: string, cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const algorithm = sequence(objectId('2a8648ce3d040302')) // ecdsa-with-SHA256
  const name = sequence(der(0x31, sequence(objectId('550403'), der(0x0c, Buffer.from('localhost'))))) // CN=localhost
  const serial = randomBytes(8)
  serial[0] = 0x40 | serial[0]! & 0x3f // positive, and no byte more than it needs
  const signed = sequence(
    der(0x02, serial),
    algorithm,
    name,
    sequence(utcTime(Date.now() - DAY), utcTime(Date.now() + DAY)),
    name,
    publicKey.export({ type: 'spki', format: 'der' })
  )
  const certificate = sequence(signed, algorithm, der(0x03, Buffer.from([0]), sign('sha256', signed, privateKey)))
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${certificate.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`
  }
}
