package messages

import "strconv"

// items reads the lines. It keeps at most MaxLines, and reports how many there are.
func (c *converter) items() []Item {
	v := c.f[fItems]
	if v.kind == absent {
		return nil
	}
	if v.kind != array {
		c.mismatch("items", v, "an array")
		return nil
	}
	var items []Item
	n := 0
	s := scanner{s: v.s}
	// The text was scanned before: it has no errors.
	_ = s.array(func(v value) {
		if n++; n <= MaxLines {
			items = append(items, c.item(n-1, v))
		}
	})
	if n > MaxLines {
		c.problems.add("items", "must have at most %d lines, not %d", MaxLines, n)
	}
	return items
}

// lenientItems reads the lines behind the amount that they belong to. Lines that break a rule count as absent.
func (c *converter) lenientItems() []Item {
	mark := len(c.problems)
	items := c.items()
	rules := c.problems[mark:]
	rules.items(items, c.code())
	c.problems = c.problems[:mark]
	if len(rules) > 0 {
		return nil
	}
	return items
}

// item reads one line. Its problems name the line, as in items[2].sku.
func (c *converter) item(i int, v value) Item {
	mark := len(c.problems)
	var it Item
	if v.kind != object {
		c.mismatch("", v, "an object")
	} else {
		it = c.line(v.s)
	}
	if len(c.problems) > mark {
		path := "items[" + strconv.Itoa(i) + "]"
		if v.kind == object {
			path += "."
		}
		c.problems.within(mark, path)
	}
	return it
}

// line reads the members of a line. Members that version 1 does not have are ignored, as in the body.
func (c *converter) line(src string) Item {
	var sku, quantity, price value
	s := scanner{s: src}
	_ = s.object(func(key string, v value) {
		switch key {
		case "sku":
			sku = v
		case "quantity":
			quantity = v
		case "unit_price":
			price = v
		}
	})
	it := Item{SKU: c.idOf("sku", sku), Quantity: c.quantityOf(quantity)}
	if m, ok := c.moneyOf("unit_price", price); ok {
		it.UnitPrice = &m
	}
	return it
}

// quantityOf reads a whole number, however it is written: 2, 2.0, 2e0.
func (c *converter) quantityOf(v value) int {
	switch v.kind {
	case absent, null:
		c.problems.add("quantity", "is required")
		return 0
	case number:
		if n, ok := WholeNumber(v.s); ok {
			return int(n)
		}
		c.problems.add("quantity", "must be a whole number from 1 to %d, not %s", MaxQuantity, quoted(v.s))
	default:
		c.mismatch("quantity", v, "a whole number")
	}
	return 0
}

// WholeNumber reads a JSON number that is 0 or more and whole, in any notation: 2, 2.0 and 2e0 are 2. It reports false
// for any other number and for one beyond int64.
func WholeNumber(literal string) (int64, bool) {
	var d decimal
	if !d.parse(literal) || d.neg || !d.exact(0) {
		return 0, false
	}
	return d.whole(0)
}
