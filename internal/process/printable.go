package process

const hexDigits = "0123456789abcdef"

// printable returns the line with control characters, but for tabs, written as \xNN: what a program prints must not
// steer the terminal on which a log or an error is read. Nearly always it is the line itself.
func printable(line []byte) []byte {
	for i, c := range line {
		if steers(line, i, c) {
			return escaped(line, i)
		}
	}
	return line
}

// steers reports whether a control character begins at i: C0, DEL, or C1 in UTF-8.
func steers(line []byte, i int, c byte) bool {
	return c < ' ' && c != '\t' || c == 0x7f || c == 0xc2 && i+1 < len(line) && line[i+1] >= 0x80 && line[i+1] < 0xa0
}

func escaped(line []byte, from int) []byte {
	b := append(make([]byte, 0, len(line)+16), line[:from]...)
	for i := from; i < len(line); i++ {
		c := line[i]
		if !steers(line, i, c) {
			b = append(b, c)
			continue
		}
		if c == 0xc2 { // the character's number is its second byte
			i++
			c = line[i]
		}
		b = append(b, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
	}
	return b
}
