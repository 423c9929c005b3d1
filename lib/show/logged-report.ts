/**
 * The report of a drain as it is logged: in one line of at most 4 KB, whose lists are cut and say how many entries are not
 * shown. The event and the promise have the whole.
 */
import { Buffer } from 'node:buffer'
import type { DrainReport } from '../track/drain-report.ts'

/** Entries of a list that are shown, where they are short. */
const ENTRIES = 10
/** Bytes of a report; the logger adds fields of its own. */
const BYTES = 3_500

/** A report with lists cut. */
export type LoggedReport = Omit<DrainReport, 'cleanups'> & { cleanups: DrainReport['cleanups'] & { notShown?: number } }

/** The report as it is logged. */
export function loggedReport (report: DrainReport): LoggedReport {
  let entries = ENTRIES
  let cut = cutTo(report, entries)
  while (entries > 0 && Buffer.byteLength(JSON.stringify(cut)) > BYTES) cut = cutTo(report, --entries)
  return cut
}

function cutTo (report: DrainReport, entries: number): LoggedReport {
  const { cleanups, held } = report
  const notShown = cleanups.abandoned.length - entries
  if (notShown <= 0 && held.length <= entries) return report
  return {
    ...report,
    held: held.slice(0, entries),
    cleanups: notShown <= 0 ? cleanups : { ...cleanups, abandoned: cleanups.abandoned.slice(0, entries), notShown }
  }
}
