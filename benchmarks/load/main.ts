/**
 * The load client's program: a process of its own, so that its CPU time is not the server's.
 */
import { answer } from '../rpc.ts'
import type { LoadControl } from './control.ts'
import { Crowd } from './crowd.ts'

answer<LoadControl>(new Crowd())
