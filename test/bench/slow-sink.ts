// A next host in a process of its own that answers each mail after 5 to 500 ms; prints how many it has taken. Argument: the port.
import { startSink } from '../tools/sink.ts'

const [port] = process.argv.slice(2)
let taken = 0
await startSink({ port: Number(port), keepData: false, delay: () => 5 + Math.random() * 495, dot: () => void taken++ })
setInterval(() => process.stdout.write(`mesg=${taken}\r`), 20)
