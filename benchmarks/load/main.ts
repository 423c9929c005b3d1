/**
 * The program of the load client: a separate process, so that its CPU time does not count for the server.
 */
import { answer } from '../rpc.ts'
import type { LoadControl } from './control.ts'
import { Crowd } from './crowd.ts'

answer<LoadControl>(new Crowd())
