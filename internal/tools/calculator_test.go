package tools

import (
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sutazai/sutazai/core"
)

func TestTheCalculatorIsExact(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]string{
		"0.1 + 0.2": "0.3", "1/3": "0.33333333333333333333 (rounded; exactly 1/3)", "1/3*3": "1", "2 + 3 * 4": "14", "(2 + 3) * 4": "20",
		"2^3^2": "512", "-2^2": "-4", "(-2)^2": "4", "2^-3": "0.125", "2**10": "1024", "0^0": "1", "(-1)^1000001": "-1", "1^999999999999": "1",
		"10 - 2 - 3": "5", "100 / 10 / 2": "5", "2 - -3": "5", "--2": "2", "+5": "5", "7 mod 3": "1", "-7 mod 3": "2", "10 % 3": "1", "7.5 mod 2": "1.5",
		"15% of 80": "12", "200 + 10%": "220", "200 - 10%": "180", "50%": "0.5", "200 * 10%": "20", "10% + 10%": "0.11", "5%2": "1", "(10%) * 3": "0.3",
		"5!": "120", "3!!": "720", "0!": "1", "20!": "2432902008176640000", "factorial(5)": "120",
		"sqrt(16)": "4", "sqrt(2)": "about 1.4142135623731", "√(9)": "3", "sqrt(0.25)": "0.5", "sqrt(16/9)": "1.3333333333333333333 (rounded; exactly 4/3)",
		"4^0.5": "2", "abs(-3.5)": "3.5", "floor(-2.5)": "-3", "ceil(-2.5)": "-2", "ceil(2.1)": "3", "trunc(-2.7)": "-2",
		"round(2.5)": "3", "round(-2.5)": "-3", "round(2.345, 2)": "2.35", "round(1234, -2)": "1200", "round(1/3, 4)": "0.3333", "round(sqrt(2), 3)": "1.414",
		"min(3, 1, 2)": "1", "max(1,234)": "234", "sum(1, 2, 3.5)": "6.5", "avg(1, 2)": "1.5", "gcd(12, 18)": "6", "lcm(4, 6)": "12", "gcd(0,0)": "0", "lcm(0, 5)": "0",
		"1,234.5 * 2": "2469", "1_000_000": "1000000", "1,000,000 + 1": "1000001", "max((1,000), 2)": "1000", "1e3": "1000", "1.5e-3": "0.0015", "2e+2": "200", ".5": "0.5", "5.": "5",
		"3 x 4": "12", "3 × 4 ÷ 2 − 1": "5", "2 + 2 =": "4", "2*pi": "about 6.28318530717959", "ln(e)": "about 1", "log10(1000)": "about 3", "log(8, 2)": "about 3",
		"log(100)": "about 2", "log2(8)": "about 3", "exp(0)": "about 1", "sin(pi)": "about 0", "cos(0)": "about 1", "POW(2, 8)": "256", "mod(7, 4)": "3", "cbrt(27)": "about 3",
		"999999999999 * 999999999999": "999999999998000000000001", "2^200": "1606938044258990275541962092341162602522202993782792835301376",
		"0.1^30": "0.000000000000000000000000000001", "1e5000": "1e+5000 (rounded; it has 5001 digits)", "\n 1 +\t1 ": "2",
	} {
		v, err := evaluate(expression)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
		} else if got := v.text(); got != want {
			t.Errorf("%s = %s, want %s", expression, got, want)
		}
	}
}

func TestTheCalculatorSaysWhatItDoesNotUnderstand(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]string{
		"1/0": "division by zero", "5 mod 0": "division by zero", "0^-1": "division by zero: 0 to a negative power", "": "the expression ends too early", "2 +": "the expression ends too early",
		"(1 + 2": "a closing bracket is missing", "1 + 2)": `")" was not expected at character 6`, "2(3)": `"(3)" was not expected`, "2 3": `"3" was not expected`,
		"foo(1)": `unknown function "foo"; there is: sqrt`, "x + 1": `unknown name "x"`, "$5": `"$5" was not expected at character 1`, "1.2.3": `"1.2.3" is not a number`, ".": `"." is not a number`,
		"sqrt(-1)": "there is no real square root of a negative number", "(-8)^(1/3)": "a negative number has no real power", "ln(0)": "a logarithm needs a positive number", "asin(2)": "asin has no result",
		"2.5!": "a factorial needs a whole number", "(-1)!": "a factorial needs", "3000!": "factorials go up to 2000!", "9^9^9": "the result has more than", "9^9^9^9": "the result has more than", "2^1e30": "the exponent", "2^40000": "the result has more than",
		"10^9000*10^9000": "the result has more than", "1e99999": `the number "1e99999" is too large`, "exp(1000)": "exp has no result", "sqrt()": "sqrt takes at least one value", "sqrt(1,2)": "sqrt takes one value", "pow(2)": "pow takes two values",
		"round(1,2,3)": "round takes one or two values", "gcd(1.5,2)": "gcd takes whole numbers", "round(1, 0.5)": "round takes a whole number of digits",
		strings.Repeat("(", 200) + "1": "the expression is nested more than 100 deep", strings.Repeat("2^", 200) + "1": "the expression is nested more than 100 deep", "1;2": `";2" was not expected`, "0x10": `"x10" was not expected`,
	} {
		v, err := evaluate(expression)
		if err == nil {
			t.Errorf("%s = %s, want an error", clip(expression, 30), v.text())
		} else if core.CodeOf(err) != core.CodeInvalid || !strings.HasPrefix(core.MessageOf(err), want) {
			t.Errorf("%s: %v, want %s", clip(expression, 30), err, want)
		}
	}
}

func TestNoExpressionTakesLong(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{
		strings.Repeat("2000!+", 600) + "1", strings.Repeat("1/7^9000+", 400) + "1", strings.Repeat("-", 3999) + "1", "lcm(" + strings.Repeat("2^9000-1,", 400) + "3)",
		strings.Repeat("(", 90) + strings.Repeat("2^1000*", 400) + "1" + strings.Repeat(")", 90), "1" + strings.Repeat("%", 3999), "1" + strings.Repeat("!", 3999), strings.Repeat("9", 3999),
	} {
		start := time.Now()
		evaluate(expression) //nolint:errcheck,gosec // only the time counts
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("%s took %s", clip(expression, 30), took)
		}
	}
}

func TestTheCalculatorAgreesWithFractions(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		// An expression is built beside its value, fully in brackets.
		var build func(depth int) (string, *big.Rat)
		build = func(depth int) (string, *big.Rat) {
			if depth == 0 || rapid.Bool().Draw(r, "leaf") {
				n := rapid.Int64Range(0, 1_000_000).Draw(r, "n")
				v := big.NewRat(n, 100)
				return v.FloatString(2), v
			}
			a, x := build(depth - 1)
			b, y := build(depth - 1)
			op := rapid.SampledFrom([]string{"+", "-", "*", "/"}).Draw(r, "op")
			z := new(big.Rat)
			switch op {
			case "+":
				z.Add(x, y)
			case "-":
				z.Sub(x, y)
			case "*":
				z.Mul(x, y)
			default:
				if y.Sign() == 0 {
					return a, x
				}
				z.Quo(x, y)
			}
			return "(" + a + " " + op + " " + b + ")", z
		}
		expression, want := build(5)
		got, err := evaluate(expression)
		if err != nil || got.r.Cmp(want) != 0 || !got.exact {
			r.Fatalf("%s = %v (%v), want %s", expression, got.r, err, want)
		}
	})
}

func FuzzTheCalculatorNeverPanics(f *testing.F) {
	for _, s := range []string{"1+2*(3-4)/5^6%7!", "max(1,2;3)", "15% of 80", "1e+", "1,2,3", "sqrt(", "%%", "x x x", "1e9999%", "٣+1", "2^^3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 200 {
			return
		}
		if v, err := evaluate(s); err == nil {
			if v.text() == "" {
				t.Fatalf("%q has an empty result", s)
			}
		} else if core.CodeOf(err) != core.CodeInvalid {
			t.Fatalf("%q: %v", s, err)
		}
	})
}
