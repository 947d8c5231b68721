// The part of Apache ECharts that reports draw with, as one global.
import { connect, disconnect, init, use, version } from "echarts/core";
import { CustomChart, GraphChart, HeatmapChart, LineChart } from "echarts/charts";
import {
  AriaComponent,
  AxisPointerComponent,
  GraphicComponent,
  GridComponent,
  TitleComponent,
  TooltipComponent,
  VisualMapContinuousComponent,
} from "echarts/components";
import { CanvasRenderer, SVGRenderer } from "echarts/renderers";

use([
  LineChart,
  CustomChart,
  HeatmapChart,
  GraphChart,
  AriaComponent,
  AxisPointerComponent,
  GraphicComponent,
  GridComponent,
  TitleComponent,
  TooltipComponent,
  VisualMapContinuousComponent,
  SVGRenderer,
  CanvasRenderer,
]);

globalThis.echarts = { connect, disconnect, init, version };
