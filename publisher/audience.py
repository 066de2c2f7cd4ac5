"""The verbs over subscribers: bringing in, confirming, unsubscribing, removing. Every rule of who gets anything."""
