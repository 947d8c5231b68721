package reports

import (
	"encoding/json"
	"math"
	"strconv"
)

// Figure is one figure of a page. Option is what a browser draws with: the axes
// and one prototype of each kind of series, without any data. Table holds the
// numbers that the figure opens with, and StaticSVG is the same drawn here.
type Figure struct {
	ID, Title, Caption string
	Option             json.RawMessage
	Table              Table
	StaticSVG          string
	Height             int // of the interactive figure in CSS pixels; 0 where it depends on the data
}

// Table is what a figure draws. Cells are string, int or number.
type Table struct {
	Head []string `json:"head"`
	Rows [][]any  `json:"rows"`
}

// number is a float64 of six significant digits that is null in JSON, and empty
// in a table, where it is not finite.
type number float64

func (n number) MarshalJSON() ([]byte, error) {
	v := float64(n)
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, v, 'g', 6, 64), nil
}

func (n number) String() string {
	if v := float64(n); math.IsNaN(v) || math.IsInf(v, 0) {
		return ""
	}
	return strconv.FormatFloat(float64(n), 'g', 6, 64)
}

// column is a list of numbers, written as one number where all are the same.
type column []number

func (c column) MarshalJSON() ([]byte, error) {
	for _, v := range c {
		if v != c[0] && (v == v || c[0] == c[0]) {
			return json.Marshal([]number(c))
		}
	}
	if len(c) == 0 {
		return []byte("null"), nil
	}
	return json.Marshal(c[0])
}
