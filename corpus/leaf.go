package corpus

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// leafEncoder gives the JSON of the values of one leaf column: dates and times
// as ISO 8601 strings, decimals as numbers with all their digits.
func leafEncoder(t parquet.Type) func([]byte, parquet.Value) ([]byte, error) {
	if logical := t.LogicalType(); logical != nil {
		switch l := logical.Value.(type) {
		case *format.JsonType:
			return appendJSON
		case *format.DateType:
			return func(out []byte, v parquet.Value) ([]byte, error) {
				return appendString(out, time.Unix(int64(v.Int32())*86400, 0).UTC().Format(time.DateOnly)), nil
			}
		case *format.TimestampType:
			layout := "2006-01-02T15:04:05.999999999"
			if l.IsAdjustedToUTC {
				layout += "Z07:00"
			}
			return func(out []byte, v parquet.Value) ([]byte, error) {
				return appendString(out, timestamp(v.Int64(), l.Unit).Format(layout)), nil
			}
		case *format.DecimalType:
			return func(out []byte, v parquet.Value) ([]byte, error) {
				return append(out, decimal(unscaled(v), int(l.Scale))...), nil
			}
		case *format.IntType:
			if !l.IsSigned && t.Kind() == parquet.Int64 {
				return func(out []byte, v parquet.Value) ([]byte, error) { return strconv.AppendUint(out, v.Uint64(), 10), nil }
			}
			if !l.IsSigned && t.Kind() == parquet.Int32 {
				return func(out []byte, v parquet.Value) ([]byte, error) {
					return strconv.AppendUint(out, uint64(v.Uint32()), 10), nil
				}
			}
		case *format.UUIDType:
			return func(out []byte, v parquet.Value) ([]byte, error) {
				x := hex.EncodeToString(v.ByteArray())
				if len(x) != 32 {
					return out, fmt.Errorf("a UUID of %d bytes", len(x)/2)
				}
				return appendString(out, x[:8]+"-"+x[8:12]+"-"+x[12:16]+"-"+x[16:20]+"-"+x[20:]), nil
			}
		}
	}
	return appendPhysical
}

func appendPhysical(out []byte, v parquet.Value) ([]byte, error) {
	switch v.Kind() {
	case parquet.Boolean:
		return strconv.AppendBool(out, v.Boolean()), nil
	case parquet.Int32:
		return strconv.AppendInt(out, int64(v.Int32()), 10), nil
	case parquet.Int64:
		return strconv.AppendInt(out, v.Int64(), 10), nil
	case parquet.Float:
		return appendFloat(out, float64(v.Float()), 32)
	case parquet.Double:
		return appendFloat(out, v.Double(), 64)
	case parquet.Int96: // nanoseconds of the day, then the Julian day
		i := v.Int96()
		day := int64(i[2]) - 2440588
		at := time.Unix(day*86400, int64(uint64(i[1])<<32|uint64(i[0]))).UTC()
		return appendString(out, at.Format(time.RFC3339Nano)), nil
	case parquet.ByteArray:
		if b := v.ByteArray(); utf8.Valid(b) {
			return appendString(out, string(b)), nil
		}
		return out, errors.New("holds bytes that are not UTF-8 text; drop the column or write it as text")
	}
	return out, fmt.Errorf("holds %v, which has no form in JSON; drop the column or write it as text", v.Kind())
}

func appendFloat(out []byte, f float64, bits int) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return out, fmt.Errorf("holds %v, which JSON cannot; write null", f)
	}
	return strconv.AppendFloat(out, f, 'g', -1, bits), nil
}

func appendJSON(out []byte, v parquet.Value) ([]byte, error) {
	b := v.ByteArray()
	s := &scanner{data: b}
	if _, err := s.value(0); err != nil {
		return out, fmt.Errorf("is not JSON: %w", err)
	}
	if s.peek(); s.at < len(b) || !utf8.Valid(b) {
		return out, errors.New("is not JSON: one value in UTF-8 was expected")
	}
	return append(out, b...), nil
}

func timestamp(v int64, unit format.TimeUnit) time.Time {
	switch unit.Value.(type) {
	case *format.MilliSeconds:
		return time.UnixMilli(v).UTC()
	case *format.MicroSeconds:
		return time.UnixMicro(v).UTC()
	}
	return time.Unix(0, v).UTC()
}

// unscaled is the integer of a decimal, which byte arrays hold in big-endian
// two's complement.
func unscaled(v parquet.Value) *big.Int {
	switch v.Kind() {
	case parquet.Int32:
		return big.NewInt(int64(v.Int32()))
	case parquet.Int64:
		return big.NewInt(v.Int64())
	}
	b := v.ByteArray()
	x := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0] >= 0x80 {
		x.Sub(x, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return x
}

func decimal(x *big.Int, scale int) string {
	digits := new(big.Int).Abs(x).String()
	if scale > 0 {
		if short := scale + 1 - len(digits); short > 0 {
			digits = strings.Repeat("0", short) + digits
		}
		digits = digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
	}
	if x.Sign() < 0 {
		digits = "-" + digits
	}
	return digits
}
