package cli

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/client"
	"pasdetrois/toolbox/hint"
)

// inventory makes `pas inventory`. Reading uses the public port of orders; changing uses its admin port.
func (a *app) inventory() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "inventory [SKU…]",
		Short: "Show the catalogue and its stock, change prices, restock",
		Long:  `Show the catalogue: what can be ordered, at which price, and where the pieces are (available, reserved, sold).`,
		Example: `  pas inventory
  pas inventory vinyl-swan-lake --json
  pas inventory put vinyl-giselle --name "Giselle, 2 LP" --price 24.50
  pas inventory restock vinyl-giselle 100`,
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, skus []string) error {
			stocks := []client.Stock{}
			if len(skus) == 0 {
				all, err := c.Inventory(cmd.Context())
				if err != nil {
					return err
				}
				stocks = all
			}
			for _, sku := range skus {
				stock, err := c.Stock(cmd.Context(), sku)
				if err != nil {
					return explainSKU(err, sku)
				}
				stocks = append(stocks, stock)
			}
			return a.showStock(stocks)
		}),
	}
	cmd.AddCommand(a.inventoryPut(), a.inventoryRestock())
	return cmd
}

// showStock shows products. JSON output always has a list, also for one product, so that scripts need one form
// only.
func (a *app) showStock(stocks []client.Stock) error {
	if a.json {
		return a.printer().JSON(map[string]any{"items": stocks})
	}
	if len(stocks) == 0 {
		a.printer().Line("The catalogue is empty: add something with `pas inventory put`.")
		return nil
	}
	a.printer().Inventory(stocks)
	return nil
}

// explainSKU adds the way out to the error for an unknown product.
func explainSKU(err error, sku string) error {
	if client.Missing(err) {
		return hint.Add(fmt.Errorf("there is no product %q", sku), "see `pas inventory`, or create it with `pas inventory put %s`", sku)
	}
	return err
}

// inventoryPut makes `pas inventory put`. The price is checked here, so that a wrong number of decimals is a
// usage error. An empty currency is left to the service.
func (a *app) inventoryPut() *cobra.Command {
	var name, price, currency string
	cmd := &cobra.Command{
		Use:   "put SKU --name NAME --price AMOUNT",
		Short: "Create a product, or change its name and price",
		Long: `Create a product without stock, or change the name and price of one. Orders that were placed keep their price.
It uses the admin port of orders.`,
		Example: `  pas inventory put vinyl-giselle --name "Giselle, 2 LP" --price 24.50`,
		Args:    args(cobra.ExactArgs(1)),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, given []string) error {
			in := currency
			if in == "" {
				in = messages.DefaultCurrency
			}
			amount, err := messages.ParseMoney(price, in)
			if err != nil || amount.Minor <= 0 {
				return usagef("--price %q is not an amount of %s such as 24.50", price, in)
			}
			stock, err := c.PutProduct(cmd.Context(), given[0], client.Product{Name: name, Price: json.Number(amount.Decimal()), Currency: currency})
			if err != nil {
				return err
			}
			return a.showStock([]client.Stock{stock})
		}),
	}
	cmd.Flags().StringVar(&name, "name", "", "what people call it")
	cmd.Flags().StringVar(&price, "price", "", "price of one piece")
	cmd.Flags().StringVar(&currency, "currency", "", "ISO 4217 code (default USD)")
	cobra.CheckErr(cmd.MarkFlagRequired("name"))
	cobra.CheckErr(cmd.MarkFlagRequired("price"))
	return cmd
}

// inventoryRestock makes `pas inventory restock`. Repeating it adds the pieces again: a restock has no id.
func (a *app) inventoryRestock() *cobra.Command {
	return &cobra.Command{
		Use:     "restock SKU QUANTITY",
		Short:   "Add pieces to a product",
		Example: `  pas inventory restock vinyl-giselle 100`,
		Args:    args(cobra.ExactArgs(2)),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, given []string) error {
			quantity, err := strconv.ParseInt(given[1], 10, 64)
			if err != nil || quantity < 1 {
				return usagef("QUANTITY %q is not a number of at least 1", given[1])
			}
			stock, err := c.Restock(cmd.Context(), given[0], quantity)
			if err != nil {
				return explainSKU(err, given[0])
			}
			return a.showStock([]client.Stock{stock})
		}),
	}
}
