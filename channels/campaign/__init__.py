"""What the adapters of newsletter services share: a campaign is drafted under our key, and sent by its number."""

from channels.campaign.adapter import CampaignAdapter
from channels.campaign.campaign import Campaign, State
from channels.campaign.content import CampaignPayload
from channels.campaign.service import Service
from channels.campaign.settings import CampaignSettings

__all__ = ["Campaign", "CampaignAdapter", "CampaignPayload", "CampaignSettings", "Service", "State"]
