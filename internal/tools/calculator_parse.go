package tools

import (
	"math/big"
	"strings"
	"unicode"

	"github.com/sutazai/sutazai/core"
)

// maxNesting bounds brackets in an expression.
const maxNesting = 100

// evaluate computes an expression by recursive descent, in the usual order: brackets, !, %, ^ (from the right),
// sign, * / mod, + -.
func evaluate(text string) (number, error) {
	text = strings.NewReplacer("−", "-", "–", "-", "×", "*", "·", "*", "÷", "/", "**", "^", "√", "sqrt").Replace(text)
	p := &calc{text: []rune(strings.TrimSuffix(strings.TrimSpace(text), "="))}
	v, err := p.sum()
	if err != nil {
		return v, err
	}
	if p.space(); p.at < len(p.text) {
		return v, p.unexpected()
	}
	return v, nil
}

// calc reads an expression from left to right.
type calc struct {
	text  []rune
	at    int
	depth int
	calls int // brackets of functions that are open: in them a comma separates values
}

func (p *calc) space() {
	for p.at < len(p.text) && unicode.IsSpace(p.text[p.at]) {
		p.at++
	}
}

// peek is the next character that is no space, 0 at the end.
func (p *calc) peek() rune {
	p.space()
	if p.at >= len(p.text) {
		return 0
	}
	return p.text[p.at]
}

// word reads a name without moving on.
func (p *calc) word() string {
	p.space()
	end := p.at
	for end < len(p.text) && (unicode.IsLetter(p.text[end]) || (end > p.at && unicode.IsDigit(p.text[end]))) {
		end++
	}
	return strings.ToLower(string(p.text[p.at:end]))
}

func (p *calc) unexpected() error {
	if p.peek() == 0 {
		return core.Errorf(core.CodeInvalid, "the expression ends too early; something is missing after %q", clip(string(p.text[max(0, p.at-20):]), 20))
	}
	rest := clip(string(p.text[p.at:]), 20)
	return core.Errorf(core.CodeInvalid, "%q was not expected at character %d; write operators between numbers, such as 2 * (3 + 4)", rest, p.at+1)
}

func (p *calc) sum() (number, error) {
	left, _, err := p.product()
	for err == nil {
		op := p.peek()
		if op != '+' && op != '-' {
			return left, nil
		}
		p.at++
		right, percent, rerr := p.product()
		if rerr != nil {
			return left, rerr
		}
		if percent { // 200 + 10% is 10% of 200 more
			if right, err = combine(left, right, (*big.Rat).Mul); err != nil {
				return left, err
			}
		}
		if op == '+' {
			left, err = combine(left, right, (*big.Rat).Add)
		} else {
			left, err = combine(left, right, (*big.Rat).Sub)
		}
	}
	return left, err
}

// product also says whether it is nothing but a percentage.
func (p *calc) product() (number, bool, error) {
	left, percent, err := p.signed()
	for err == nil {
		op := ""
		switch c := p.peek(); {
		case c == '*' || c == '/' || c == '%':
			op = string(c)
			p.at++
		default:
			if w := p.word(); w == "mod" || w == "of" || w == "x" {
				op = w
				p.at += len([]rune(w))
			}
		}
		if op == "" {
			return left, percent, nil
		}
		percent = false
		right, _, rerr := p.signed()
		if rerr != nil {
			return left, false, rerr
		}
		switch op {
		case "*", "of", "x":
			left, err = combine(left, right, (*big.Rat).Mul)
		case "/":
			left, err = divide(left, right)
		default:
			left, err = modulo(left, right)
		}
	}
	return left, false, err
}

func (p *calc) signed() (number, bool, error) {
	minus := false
	for c := p.peek(); c == '-' || c == '+'; c = p.peek() {
		minus = minus != (c == '-')
		p.at++
	}
	v, percent, err := p.power()
	if err == nil && minus {
		v = number{new(big.Rat).Neg(v.r), v.exact}
	}
	return v, percent, err
}

func (p *calc) power() (number, bool, error) {
	base, percent, err := p.postfix()
	if err != nil || p.peek() != '^' {
		return base, percent, err
	}
	p.at++
	if err := p.enter(); err != nil {
		return base, false, err
	}
	exponent, _, err := p.signed()
	p.depth--
	if err != nil {
		return base, false, err
	}
	v, err := power(base, exponent)
	return v, false, err
}

// postfix reads ! and %. A % with a value behind it is a remainder, as programmers write it.
func (p *calc) postfix() (v number, percent bool, err error) {
	v, err = p.value()
	for err == nil {
		switch p.peek() {
		case '!':
			p.at++
			v, err = factorial(v)
		case '%':
			if p.remainder() {
				return v, percent, nil
			}
			p.at++
			percent = true
			v, err = divide(v, exactly(big.NewRat(100, 1)))
		default:
			return v, percent, nil
		}
	}
	return v, percent, err
}

// remainder looks behind a % for a value.
func (p *calc) remainder() bool {
	q := calc{text: p.text, at: p.at + 1}
	c := q.peek()
	if w := q.word(); w == "of" || w == "mod" || w == "x" {
		return false
	}
	return c == '(' || c == '.' || unicode.IsDigit(c) || unicode.IsLetter(c)
}

func (p *calc) enter() error {
	if p.depth++; p.depth > maxNesting {
		return core.Errorf(core.CodeInvalid, "the expression is nested more than %d deep", maxNesting)
	}
	return nil
}

func (p *calc) value() (number, error) {
	c := p.peek()
	switch {
	case c == '(':
		p.at++
		calls := p.calls
		p.calls = 0
		v, err := p.bracket()
		p.calls = calls
		return v, err
	case c == '.' || unicode.IsDigit(c):
		return p.number()
	case unicode.IsLetter(c):
		return p.name()
	}
	return number{}, p.unexpected()
}

// bracket reads up to the closing one.
func (p *calc) bracket() (number, error) {
	if err := p.enter(); err != nil {
		return number{}, err
	}
	v, err := p.sum()
	if err != nil {
		return v, err
	}
	p.depth--
	return v, p.close()
}

func (p *calc) close() error {
	switch p.peek() {
	case ')':
		p.at++
		return nil
	case 0:
		return core.Errorf(core.CodeInvalid, "a closing bracket is missing")
	}
	return p.unexpected()
}

// number reads digits with an optional fraction and exponent. Outside of functions, commas between groups of
// three digits are for the eye.
func (p *calc) number() (number, error) {
	start := p.at
	var digits strings.Builder
	for p.at < len(p.text) {
		c := p.text[p.at]
		switch {
		case c >= '0' && c <= '9' || c == '.':
			digits.WriteRune(c)
		case c == '_' && p.digits(1) > 0, c == ',' && p.calls == 0 && p.digits(1) == 3:
		case (c == 'e' || c == 'E') && p.exponent():
			digits.WriteRune('e')
			p.at++
			digits.WriteRune(p.text[p.at])
		default:
			return p.parsed(digits.String(), start)
		}
		p.at++
	}
	return p.parsed(digits.String(), start)
}

// digits counts the digits from ahead characters on.
func (p *calc) digits(ahead int) int {
	n := 0
	for i := p.at + ahead; i < len(p.text) && p.text[i] >= '0' && p.text[i] <= '9'; i++ {
		n++
	}
	return n
}

// exponent says whether the e here belongs to the number.
func (p *calc) exponent() bool {
	if p.digits(1) > 0 {
		return true
	}
	return p.at+1 < len(p.text) && (p.text[p.at+1] == '-' || p.text[p.at+1] == '+') && p.digits(2) > 0
}

func (p *calc) parsed(digits string, start int) (number, error) {
	bad := core.Errorf(core.CodeInvalid, "%q is not a number", clip(string(p.text[start:p.at]), 40))
	if i := strings.IndexByte(digits, 'e'); i >= 0 && len(strings.TrimLeft(digits[i+1:], "+-0")) > 4 {
		return number{}, core.Errorf(core.CodeInvalid, "the number %q is too large or too small", clip(digits, 40))
	}
	r, ok := new(big.Rat).SetString(digits)
	if !ok {
		return number{}, bad
	}
	return bounded(exactly(r))
}

// name reads a constant or a function with its values.
func (p *calc) name() (number, error) {
	name := p.word()
	start := p.at
	p.at += len([]rune(name))
	if p.peek() != '(' {
		if v, ok := constant(name); ok {
			return v, nil
		}
		p.at = start
		return number{}, core.Errorf(core.CodeInvalid, "unknown name %q; there are numbers, pi, e and the functions %s, with their values in brackets", clip(name, 40), functions())
	}
	p.at++
	if err := p.enter(); err != nil {
		return number{}, err
	}
	outer := p.calls
	p.calls = 1
	var args []number
	for p.peek() != ')' {
		v, err := p.sum()
		if err != nil {
			return v, err
		}
		args = append(args, v)
		if c := p.peek(); c != ',' && c != ';' {
			break
		}
		p.at++
	}
	p.calls = outer
	p.depth--
	if err := p.close(); err != nil {
		return number{}, err
	}
	return function(name, args)
}
