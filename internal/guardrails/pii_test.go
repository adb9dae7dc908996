package guardrails

import (
	"testing"
)

// found returns what a detector finds, by kind and text.
func found(t *testing.T, d detector, text string) []string {
	t.Helper()
	spans, held := d.scan(text, 0, true)
	if held < len(text) {
		t.Errorf("of a complete text %q, %d bytes were held back", text, len(text)-held)
	}
	var out []string
	for _, s := range merge(spans) {
		out = append(out, text[s.start:s.end])
	}
	return out
}

func checkFound(t *testing.T, d detector, text string, want ...string) {
	t.Helper()
	got := found(t, d, text)
	if len(got) != len(want) {
		t.Errorf("in %q: found %q, want %q", text, got, want)
		return
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("in %q: found %q, want %q", text, got, want)
		}
	}
}

func TestCardsAreFoundByTheirCheckDigit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want []string
	}{
		{"pay with 4111111111111111 now", []string{"4111111111111111"}},
		{"4111 1111 1111 1111", []string{"4111 1111 1111 1111"}},
		{"4111-1111-1111-1111.", []string{"4111-1111-1111-1111"}},
		{"4111\u00a01111\u00a01111\u00a01111", []string{"4111\u00a01111\u00a01111\u00a01111"}},
		{"4111  1111  1111  1111", []string{"4111  1111  1111  1111"}},
		{"4111 1111-1111 1111", []string{"4111 1111-1111 1111"}},
		{"4111/1111/1111/1111!", []string{"4111/1111/1111/1111"}},
		{"4111_1111_1111_1111", []string{"4111_1111_1111_1111"}},
		{"4111\n1111\n1111\n1111", []string{"4111\n1111\n1111\n1111"}},
		{"4111\r\n1111\r\n1111\r\n1111\r\n12/27", []string{"4111\r\n1111\r\n1111\r\n1111"}},
		{"card:\n4111 - 1111 - 1111 - 1111\n", []string{"4111 - 1111 - 1111 - 1111"}},
		{"3782/822463/10005", []string{"3782/822463/10005"}},
		{"4111\u20131111\u20131111\u20131111", []string{"4111\u20131111\u20131111\u20131111"}},
		{"4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", []string{"4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"}},
		{"378282246310005 and 3782 822463 10005", []string{"378282246310005", "3782 822463 10005"}},
		{"30569309025904", []string{"30569309025904"}},
		{"6011111111111117, 3530111333300000", []string{"6011111111111117", "3530111333300000"}},
		{"5555555555554444 2223003122003222", []string{"5555555555554444", "2223003122003222"}},
		{"4222222222222", []string{"4222222222222"}},
		{"card 4111 1111 1111 1111 12/27 cvv 123", []string{"4111 1111 1111 1111"}},
		{"卡号4111111111111111。", []string{"4111111111111111"}},
		{"４１１１１１１１１１１１１１１１", []string{"４１１１１１１１１１１１１１１１"}},
		{"٤١١١١١١١١١١١١١١١", []string{"٤١١١١١١١١١١١١١١١"}},
		{"1234-4111-1111-1111-1111", []string{"4111-1111-1111-1111"}},
		{"card:4111111111111111;", []string{"4111111111111111"}},

		{"4111111111111112", nil},               // check digit
		{"1111111111111117", nil},               // no scheme begins with 1
		{"1732465891234", nil},                  // a time in milliseconds
		{"41111111111111111", nil},              // 17 digits are no Visa card
		{"x4111111111111111", nil},              // part of a word
		{"4111111111111111x", nil},              //
		{"0.4111111111111111", nil},             // a fraction
		{"4111111111111111.25", nil},            // an amount
		{"4111 111-11111 1111", nil},            // two kinds of separators, and not how cards are written
		{"41 11 11 11 11 11 11 11", nil},        // not how cards are written
		{"411111111111111111111111111111", nil}, // a long number
		{"4111  111111  1111  11", nil},         // a table
		{"1992\n4111\n1111\n1111\n1111\n", nil}, // a column of numbers
		{"4111\n1111\n1111\n1111\n1992", nil},
		{"4111\t1111\t1111\t1111\t1992\t1993", nil},
		{"4111    1111    1111    1111", nil}, // too far apart
		{"4111;1111;1111;1111", nil},
		{"order 4012888888881882 is open", nil}, // one digit off
		{"00000000-0000-0000-0000-00000000", nil},
		{"", nil}, {"4", nil},
	} {
		checkFound(t, cards{}, c.text, c.want...)
	}
}

func TestIBANsAreFoundByCountryLengthAndCheckDigits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want []string
	}{
		{"to DE89370400440532013000 please", []string{"DE89370400440532013000"}},
		{"DE89 3704 0044 0532 0130 00.", []string{"DE89 3704 0044 0532 0130 00"}},
		{"de89 3704 0044 0532 0130 00", []string{"de89 3704 0044 0532 0130 00"}},
		{"GB82-WEST-1234-5698-7654-32", []string{"GB82-WEST-1234-5698-7654-32"}},
		{"DE89/3704/0044/0532/0130/00", []string{"DE89/3704/0044/0532/0130/00"}},
		{"DE89  3704_0044\n0532.0130\r\n00", []string{"DE89  3704_0044\n0532.0130\r\n00"}},
		{"NO9386011117947", []string{"NO9386011117947"}},
		{"MT84MALT011000012345MTLCAST001S", []string{"MT84MALT011000012345MTLCAST001S"}},
		{"FR1420041010050500013M02606, BE68539007547034", []string{"FR1420041010050500013M02606", "BE68539007547034"}},
		{"(IBAN:CH9300762011623852957)", []string{"CH9300762011623852957"}},

		{"DE89370400440532013001", nil},      // check digits
		{"DE8937040044053201300", nil},       // too short
		{"DE893704004405320130000", nil},     // too long
		{"XX89370400440532013000", nil},      // no such country
		{"DE89 370 40044 0532 0130 00", nil}, // not groups of four
		{"aDE89370400440532013000", nil},     // part of a word
		{"DE 89370400440532013000", nil},
		{"The de facto standard 1234 5678", nil}, // words
		{"", nil}, {"D", nil}, {"DE89", nil},
	} {
		checkFound(t, ibans{}, c.text, c.want...)
	}
}

func TestAddressesOfMailAreFound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want []string
	}{
		{"write to jane.doe+test@example.co.uk.", []string{"jane.doe+test@example.co.uk"}},
		{"<a@b.io>, mailto:x_y@mail.example", []string{"a@b.io", "x_y@mail.example"}},
		{"...me@example.com...", []string{"me@example.com"}},
		{"邮箱me@example.com吧", []string{"me@example.com"}},
		{"a@b.com,c@d.org", []string{"a@b.com", "c@d.org"}},
		{"x@xn--bcher-kva.example", []string{"x@xn--bcher-kva.example"}},

		{"user@localhost", nil}, {"@handle", nil}, {"a@b", nil}, {"1.5@2.5", nil}, {"a@.com", nil}, {"a@b..com", nil},
		{"decorators: @property.setter", nil}, {"me at example.com", nil},
		{"", nil}, {"@", nil}, {"git@", nil},
	} {
		checkFound(t, emails{}, c.text, c.want...)
	}
}

func TestTelephoneNumbersAreFound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want []string
	}{
		{"call +49 30 901820 today", []string{"+49 30 901820"}},
		{"+44 (0)20 7946 0958", []string{"+44 (0)20 7946 0958"}},
		{"+14155552671.", []string{"+14155552671"}},
		{"(212) 555-0100 or 212-555-0100", []string{"(212) 555-0100", "212-555-0100"}},
		{"1-800-555-0199", []string{"1-800-555-0199"}},

		{"2+2345678901", nil}, {"+1234", nil}, {"+12345678901234567", nil}, {"2125550100", nil}, {"112-555-0100", nil},
		{"2024-11-24", nil}, {"f(212) 555", nil}, {"212-555-01001", nil},
		{"", nil}, {"+", nil},
	} {
		checkFound(t, phones{}, c.text, c.want...)
	}
}

func TestAddressesOfMachinesAreFound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want []string
	}{
		{"ping 192.168.0.17.", []string{"192.168.0.17"}},
		{"http://10.0.0.1:8080/x", []string{"10.0.0.1"}},
		{"[2001:db8::1]:443 fe80::1", []string{"2001:db8::1", "fe80::1"}},
		{"at 2001:db8:0:0:0:0:2:1: yes", []string{"2001:db8:0:0:0:0:2:1"}},
		{"::ffff:10.1.2.3", []string{"::ffff:10.1.2.3"}},

		{"1.2.3", nil}, {"1.2.3.4.5", nil}, {"256.1.1.1", nil}, {"v1.2.3.4", nil}, {"12:30:45", nil}, {"std::string a::b", nil},
		{"", nil}, {":", nil}, {"::", nil},
	} {
		checkFound(t, ips{}, c.text, c.want...)
	}
}
