"""What mail servers and readers send back: bounces, complaints, and wishes to unsubscribe."""

from publisher.bounces.meaning import Meaning, classify, meaning
from publisher.bounces.reader import read
from publisher.bounces.report import Kind, Report

__all__ = ["Kind", "Meaning", "Report", "classify", "meaning", "read"]
