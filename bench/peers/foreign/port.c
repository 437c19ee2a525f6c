/* The program behind an Erlang port, with packets of two length bytes. It reads
 * and writes the external term format by hand: {Integer, Binary}. */
#include <stdint.h>
#include <string.h>
#include <unistd.h>

static uint8_t buf[1024];

/* all reads or writes n bytes; 0 when the other side is gone. */
static int all(ssize_t (*io)(int, void *, size_t), int fd, uint8_t *b, size_t n)
{
	while (n > 0) {
		ssize_t k = io(fd, b, n);
		if (k <= 0)
			return 0;
		b += k;
		n -= k;
	}
	return 1;
}

static ssize_t out(int fd, void *b, size_t n) { return write(fd, b, n); }

int main(void)
{
	while (all(read, 0, buf, 2)) {
		size_t size = buf[0] << 8 | buf[1];
		uint8_t *m = buf + 2;
		if (size > sizeof buf - 2 || !all(read, 0, m, size))
			return 1;
		/* version, small tuple of 2, 32-bit integer, binary with 32-bit length */
		if (size != 13 + 16 || memcmp(m, "\x83\x68\x02\x62", 4) != 0 || memcmp(m + 8, "\x6d\0\0\0\x10", 5) != 0)
			return 2;
		uint32_t n = (uint32_t)m[4] << 24 | m[5] << 16 | m[6] << 8 | m[7];
		n++;
		m[4] = n >> 24, m[5] = n >> 16, m[6] = n >> 8, m[7] = n;
		memcpy(m + 13, "pong, 16 letters", 16);
		if (!all(out, 1, buf, 2 + size))
			return 0;
	}
	return 0;
}
