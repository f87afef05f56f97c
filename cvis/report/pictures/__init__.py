"""Pictures of predictions: overlays, panels side by side, videos and contact sheets. Without torch."""

from cvis.report.pictures.colours import colour_of
from cvis.report.pictures.contact_sheet import contact_sheet
from cvis.report.pictures.files import check_format, write_panels, write_picture
from cvis.report.pictures.identities import identities
from cvis.report.pictures.mp4 import write_mp4
from cvis.report.pictures.overlay import Label, overlay
from cvis.report.pictures.panels import Panel, Panels, predicted_panel, truth_panel
from cvis.report.pictures.recorded import Recorded, open_recorded

__all__ = [
    "Label",
    "Panel",
    "Panels",
    "Recorded",
    "check_format",
    "colour_of",
    "contact_sheet",
    "identities",
    "open_recorded",
    "overlay",
    "predicted_panel",
    "truth_panel",
    "write_mp4",
    "write_panels",
    "write_picture",
]
