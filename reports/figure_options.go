package reports

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-echarts/go-echarts/v2/charts"
	"github.com/go-echarts/go-echarts/v2/opts"
	"github.com/go-echarts/go-echarts/v2/types"
)

// Options are typed with go-echarts and finished through its visitor, where it
// has no field or drops a zero. They hold no data and no text of the study: the
// page's script fills in both after it has replaced "@fn:…" by functions and
// "$…" by colours of the theme, so nothing that a model wrote is ever looked at
// for either. go-echarts never renders.

type fields = map[string]any

// finish is called with an option after go-echarts has written it.
type finish struct {
	charts.BaseConfigurationVisitor
	patch func(option fields, series []fields)
	fault *error
}

func (f finish) Visit(option map[string]any) {
	encoded, err := json.Marshal(option["series"])
	var series []fields
	if err == nil {
		err = json.Unmarshal(encoded, &series)
	}
	if *f.fault = err; err != nil {
		return
	}
	f.patch(option, series)
	option["series"] = series
	for _, unused := range []string{"color", "legend", "title", "toolbox"} {
		delete(option, unused)
	}
}

// chart is what the constructors of go-echarts have in common.
type chart interface {
	Accept(charts.ConfigurationVisitor)
	Validate()
	JSON() map[string]any
}

func option(id string, c chart, patch func(option fields, series []fields)) (json.RawMessage, error) {
	var fault error
	c.Accept(finish{patch: patch, fault: &fault})
	c.Validate()
	encoded, err := json.Marshal(c.JSON())
	if err = errors.Join(fault, err); err != nil {
		return nil, fmt.Errorf("figure %s: option cannot be encoded: %w", id, err)
	}
	return encoded, nil
}

func custom(id, draw string) charts.SingleSeries {
	return charts.SingleSeries{Id: id, Type: types.ChartCustom, RenderItem: types.FuncStr("@fn:" + draw), Animation: opts.Bool(false)}
}

func generationAxis() opts.XAxis {
	return opts.XAxis{
		Type: "value", Name: "Model generation", NameLocation: "middle", NameGap: 28, Min: 0, MinInterval: 1,
		SplitLine: &opts.SplitLine{Show: opts.Bool(false)},
		AxisLabel: &opts.AxisLabel{Formatter: "@fn:whole"},
	}
}

func percentAxis() opts.YAxis {
	return opts.YAxis{Type: "value", Min: 0, AxisLabel: &opts.AxisLabel{Formatter: "@fn:percentTick"}}
}

// meanLine is the mean over replicates; every so many of its points have a mark,
// so that lines differ by more than colour.
func meanLine() charts.SingleSeries {
	return charts.SingleSeries{
		Id: "mean", Type: types.ChartLine, Symbol: "circle", SymbolSize: "@fn:markSize",
		LineStyle: &opts.LineStyle{Width: 2.2}, Emphasis: &opts.Emphasis{Focus: "series"},
	}
}

// curvesOption draws one behaviour in one line, an arm each: prevalence and penetrance.
func curvesOption(id string) (json.RawMessage, error) {
	c := charts.NewLine()
	c.SetGlobalOptions(
		charts.WithInitializationOpts(opts.Initialization{ChartID: id}),
		charts.WithAnimation(false),
		charts.WithTooltipOpts(opts.Tooltip{Trigger: "axis", Formatter: "@fn:tipCurves"}),
		charts.WithXAxisOpts(generationAxis()), charts.WithYAxisOpts(percentAxis()),
	)
	c.MultiSeries = charts.MultiSeries{
		custom("events", "events"), custom("neutral", "hatch"), custom("band", "band"), custom("ends", "ends"), meanLine(),
	}
	return option(id, c, func(o fields, series []fields) {
		o["grid"] = fields{"left": 52, "right": 168, "top": 12, "bottom": 44}
		finishLines(series)
	})
}

// panelsOption draws one arm a panel, with every replicate.
func panelsOption(id string) (json.RawMessage, error) {
	c := charts.NewLine()
	x := generationAxis()
	x.Name = ""
	c.SetGlobalOptions(
		charts.WithInitializationOpts(opts.Initialization{ChartID: id}),
		charts.WithAnimation(false),
		charts.WithTooltipOpts(opts.Tooltip{Trigger: "axis", Formatter: "@fn:tipPanel"}),
		charts.WithXAxisOpts(x), charts.WithYAxisOpts(percentAxis()),
	)
	c.MultiSeries = charts.MultiSeries{custom("neutral", "hatch"), custom("replicates", "replicates"), meanLine()}
	return option(id, c, func(o fields, series []fields) { finishLines(series) })
}

// finishLines keeps decoration out of the way of the pointer, and lets the marks
// above a plot out of it.
func finishLines(series []fields) {
	for _, s := range series {
		if s["type"] == types.ChartCustom {
			s["silent"] = true
			s["clip"] = s["id"] != "events" && s["id"] != "ends"
			s["tooltip"] = fields{"show": false}
			continue
		}
		s["triggerLineEvent"], s["z"] = true, 4
	}
}

// heatOption draws a rate by row and generation, or whatever else across is.
func heatOption(id, across, tip string) (json.RawMessage, error) {
	c := charts.NewHeatMap()
	c.SetGlobalOptions(
		charts.WithInitializationOpts(opts.Initialization{ChartID: id}),
		charts.WithAnimation(false),
		charts.WithTooltipOpts(opts.Tooltip{Trigger: "item", Formatter: types.FuncStr("@fn:" + tip)}),
		charts.WithXAxisOpts(opts.XAxis{Type: "category", Name: across, NameLocation: "middle", NameGap: 28}),
		charts.WithYAxisOpts(opts.YAxis{Type: "category", Inverse: opts.Bool(true), AxisLabel: &opts.AxisLabel{}}),
	)
	c.MultiSeries = charts.MultiSeries{{Id: "cells", Type: types.ChartHeatMap, Label: &opts.Label{Show: opts.Bool(true)}}}
	return option(id, c, func(o fields, series []fields) {
		series[0]["label"] = fields{"show": true, "formatter": "@fn:cellText", "fontSize": 11.5}
		series[0]["itemStyle"] = fields{"borderWidth": 1, "borderColor": "$card"}
		series[0]["emphasis"] = fields{"itemStyle": fields{"borderColor": "$ink", "borderWidth": 1.5}}
		o["grid"] = fields{"left": 150, "right": 86, "top": 6, "bottom": 44}
		o["visualMap"] = rampKey()
	})
}

// descentOption draws whom the models of an arm descend from, on the axis of generations.
func descentOption(id string) (json.RawMessage, error) {
	c := charts.NewCustom()
	x := generationAxis()
	x.Min = nil
	c.SetGlobalOptions(
		charts.WithInitializationOpts(opts.Initialization{ChartID: id}),
		charts.WithAnimation(false),
		charts.WithTooltipOpts(opts.Tooltip{Trigger: "item", Formatter: "@fn:tipDescent"}),
		charts.WithXAxisOpts(x),
		charts.WithYAxisOpts(opts.YAxis{Type: "value", Inverse: opts.Bool(true), SplitLine: &opts.SplitLine{Show: opts.Bool(false)}}),
	)
	c.MultiSeries = charts.MultiSeries{{
		Id: "descent", Type: types.ChartGraph, CoordSystem: "cartesian2d", Layout: "none",
		EdgeSymbol: []string{"none", "arrow"}, Emphasis: &opts.Emphasis{Focus: "adjacency"},
	}}
	return option(id, c, func(o fields, series []fields) {
		series[0]["edgeSymbolSize"] = 6
		series[0]["blur"] = fields{"itemStyle": fields{"opacity": 0.25}, "lineStyle": fields{"opacity": 0.06}}
		o["grid"] = fields{"left": 110, "right": 86, "top": 10, "bottom": 44}
		o["visualMap"] = rampKey()
	})
}

// rampKey is the key to the colours of a ramp; the script sets where it ends.
func rampKey() fields {
	return fields{
		"type": "continuous", "min": 0, "max": 1, "dimension": 2, "calculable": false,
		"inRange": fields{"color": "$ramp"}, "itemWidth": 12, "itemHeight": 110,
		"orient": "vertical", "right": 4, "top": "middle",
	}
}
