/**
 * How a connection ended, as its client saw it. A hang fails the test that hangs, by name.
 */
import { within } from './server.ts'
import type { Closed, RawClient, TestClient } from './server.ts'

/** The close code and the reason that a client received. */
export const ended = ({ closed }: TestClient): Promise<Closed> => within(5_000, closed, 'the client saw no end')

/** Resolves when the server has ended TCP, with the error if there was one. */
export const tcpEnded = ({ ended }: RawClient): Promise<Error | undefined> => within(5_000, ended, 'TCP was not closed')
