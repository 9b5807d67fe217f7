// Dials once with Node's own sockets and prints when the dial ended.
import net from 'node:net';
import tls from 'node:tls';

const [host, port, secure] = process.argv.slice(2);
const tell = (line) => {
  process.stdout.write(JSON.stringify({ at: Date.now() / 1000, ...line }) + '\n', () => process.exit(line.ok ? 0 : 1));
};
const socket =
  secure === 'tls'
    ? tls.connect({ host, port: Number(port), servername: host, autoSelectFamily: true })
    : net.connect({ host, port: Number(port), autoSelectFamily: true });
socket.once(secure === 'tls' ? 'secureConnect' : 'connect', () => tell({ ok: true, peer: socket.remoteAddress }));
socket.once('error', (error) => tell({ ok: false, error: String(error) }));
