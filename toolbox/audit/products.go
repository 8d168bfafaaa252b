package audit

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// product is what the topics say about one product: the inventory_changed with the highest version.
type product struct {
	version, stocked int64
}

// productSeen keeps the latest version of a product. Records of one sku arrive in their order, but a message may be published
// twice, and late.
func (s *stories) productSeen(sku string, p product) {
	if p.version > s.products[sku].version {
		s.products[strings.Clone(sku)] = p
	}
}

// productsOnTopics compares the products on the topics with those of the catalogue. Pieces are only ever added, and the ends of
// the topics were fixed first. So a product with fewer pieces than the topics say was put back. One with more pieces is no fault:
// its event may be on its way.
func (a *audit) productsOnTopics() {
	if a.stories == nil {
		return
	}
	for _, sku := range slices.Sorted(maps.Keys(a.stories.products)) {
		said := a.stories.products[sku]
		stocked, known := a.stocked[sku]
		switch {
		case !known:
			a.checks.topics.offend(fmt.Sprintf("product %s is on the topics, and there is no such product", sku))
		case stocked < said.stocked:
			a.checks.topics.offend(fmt.Sprintf("product %s: %d pieces were stocked, the topics say %d", sku, stocked, said.stocked))
		}
	}
}
