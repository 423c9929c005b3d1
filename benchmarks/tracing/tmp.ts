import { pathToFileURL } from 'node:url'
import { join } from 'node:path'
import { context, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { AlwaysOffSampler, BasicTracerProvider, NoopSpanProcessor, ParentBasedSampler } from '@opentelemetry/sdk-trace-base'
import { compare } from '../in-process/pairs.ts'
import { connect, deliver, inUnits, makeApp, MESSAGES } from '../in-process/turns.ts'
import { loadPlugin } from '../servers/plugin.ts'
const [folder, mode] = process.argv.slice(2)
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
trace.setGlobalTracerProvider(new BasicTracerProvider({ sampler: new ParentBasedSampler({ root: new AlwaysOffSampler() }), spanProcessors: [new NoopSpanProcessor()] }))
const sockets = await loadPlugin(folder!)
const { default: tracing } = await import(pathToFileURL(join(folder!, 'show/tracing/index.js')).href) as any
const plain = await makeApp(async (app) => { await app.register(sockets as any) })
const traced = await makeApp(async (app) => { await app.register(sockets as any); if (mode !== 'none') await app.register(tracing) })
const [first, second] = [connect(plain, '/sync'), connect(traced, '/sync')]
const out = []
for (let i = 0; i < 3; i++) out.push(inUnits(await compare(1000, 200, () => deliver(first), () => deliver(second)), 1e6 / MESSAGES).added.toFixed(1))
console.log(mode ?? '', out.join(' '))
process.exit()
