"""What refusals mean: a table of replies of many servers, in their own ways of putting it."""

from __future__ import annotations

import pytest

from publisher.bounces.meaning import Meaning, classify, meaning

HARD, SOFT, POLICY, THROTTLED, DELAYED = Meaning

REPLIES = [
    # By the book (RFC 3463), whatever the words.
    ("550 5.1.1 <li@example.org>: Recipient address rejected: User unknown in virtual mailbox table", HARD),
    ("550 5.1.1 no", HARD),
    ("550 5.1.2 bad destination system", HARD),
    ("553 5.1.3 malformed", HARD),
    ("551 5.1.6 has moved", HARD),
    ("556 5.1.10 example.org has a null MX", HARD),
    ("556 no mail here", HARD),
    ("550 5.2.1 mailbox closed", HARD),
    ("550 5.2.1 off", HARD),
    ("552 5.2.2 Over quota", SOFT),
    ("552 no more room", SOFT),
    ("550 5.4.4 Host or domain name not found", SOFT),
    ("554 5.4.7 delivery time expired", SOFT),
    ("550 5.0.0 something", SOFT),
    ("550 no", SOFT),
    ("554 Transaction failed", POLICY),
    ("552 5.3.4 Message size exceeds fixed limit", POLICY),
    ("552 5.2.3 Message too large", POLICY),
    ("501 5.5.4 Invalid domain name", POLICY),
    ("553 5.6.7 SMTPUTF8 is not supported", POLICY),
    ("550 5.1.8 Domain of sender address does not exist", POLICY),
    ("535 5.7.8 Error: authentication failed", POLICY),
    ("550 5.7.1 Service unavailable; client host blocked using a list", POLICY),
    ("550 5.7.1 <li@example.org>... user unknown", POLICY),
    ("421 4.7.0 Try again later", DELAYED),
    ("450 4.2.0 Greylisted, see http://postgrey.example/help", DELAYED),
    ("451 4.3.0 Temporary lookup failure", DELAYED),
    ("452 4.2.2 Mailbox full", DELAYED),
    ("450 User unknown", DELAYED),
    # Gmail
    (
        "550-5.1.1 The email account that you tried to reach does not exist. Please try\r\n"
        "550-5.1.1 double-checking the recipient's email address for typos or\r\n"
        "550 5.1.1 unnecessary spaces. For more, go to https://support.google.com/mail/?p=NoSuchUser x1-2 - gsmtp",
        HARD,
    ),
    ("550 5.2.1 The email account that you tried to reach is disabled. - gsmtp", HARD),
    (
        "552 5.2.2 The recipient's inbox is out of storage space and inactive. "
        "Please direct the recipient to https://support.google.com/mail/?p=OverQuotaPerm - gsmtp",
        SOFT,
    ),
    (
        "550 5.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional "
        "messages from being delivered. - gsmtp",
        THROTTLED,
    ),
    ("550-5.7.26 Your email has been blocked because the sender is unauthenticated. - gsmtp", POLICY),
    ("550-5.7.1 Our system has detected that this message is likely unsolicited mail. - gsmtp", POLICY),
    # Outlook and Exchange
    ("550 5.4.1 Recipient address rejected: Access denied. AS(201806281) [XX1.outlook.com]", HARD),
    ("550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", HARD),
    ("550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302).", HARD),
    ("550 5.7.515 Access denied, sending domain example.org does not meet the required level", POLICY),
    ("550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. (S3150)", POLICY),
    ("554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException", SOFT),
    ("550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required", POLICY),
    # Yahoo
    ("554 delivery error: dd This user doesn't have a yahoo.com account (li@yahoo.com) [0]", HARD),
    ("554 30 Sorry, your message to li@yahoo.com cannot be delivered. This mailbox is disabled (554.30).", HARD),
    ("552 1 Requested mail action aborted, mailbox not found", HARD),
    ("554 Message not allowed - Headers are not RFC compliant[291]", POLICY),
    # QQ Mail
    ("550 Mailbox not found. http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000728", HARD),
    ("550 Domain frequency limited. http://service.mail.qq.com/cgi-bin/help?id=20022", THROTTLED),
    ("550 Sender frequency limited", THROTTLED),
    ("550 Connection frequency limited", THROTTLED),
    ("550 Ip frequency limited [AOxyz IP: 192.0.2.1]. https://service.mail.qq.com/detail/122/1000.", THROTTLED),
    ("550 Mailbox unavailable or access denied", THROTTLED),
    ("550 Mail content denied. http://service.mail.qq.com/cgi-bin/help?subtype=1", POLICY),
    ("550 Suspected spam sender", POLICY),
    ("550 SPF check failed", POLICY),
    ("550 DMARC check failed", POLICY),
    ("550 Mail is rejected by recipients. https://service.mail.qq.com/detail/0/92", SOFT),
    ("501 Bad address syntax. http://service.mail.qq.com/cgi-bin/help?subtype=1", HARD),
    # NetEase 163, 126, yeah.net
    ("550 User not found: li@163.com", HARD),
    ("550 Invalid User: li@126.com", HARD),
    ("550 RC:LD The email account that you tried to reach does no exists.", HARD),
    ("550 User suspended", SOFT),
    ("550 User in blacklist", POLICY),
    ("554 DT:SPM 163 smtp13,DMCowAD3ZlZ,please see http://mail.163.com/help/help_spam_16.htm", POLICY),
    ("554 HL:ITC 163 mx41,please see http://mail.163.com/help", POLICY),
    ("554 MI:SFQ 163 smtp5,please see http://mail.163.com/help", THROTTLED),
    ("550 RP:TRC 163 mx7", THROTTLED),
    ("421 HL:ICC 163 mx1,please see http://mail.163.com/help", DELAYED),
    ("451 DT:SPM ,please try again 126 mx5", DELAYED),
    # Sina, Coremail and others
    ("550 #2175041 unavailable mail user", HARD),
    ("550 5.1.1 local server don't exists that user", HARD),
    ("550 example:user not exist", HARD),
    ("550 Local User [li@example.org] not found.", HARD),
    ("550 no such user: li@example.org", HARD),
    ("550 no such user here (umail mta)", HARD),
    ("550 mailbox unavailable", SOFT),
    ("550 Requested action not taken: mailbox unavailable", SOFT),
    ("552 message rejected by anti-spam engine.", POLICY),
    ("553 sorry, that domain isn't in my list of allowed relay hosts (#5.7.1)", POLICY),
    ("550 sorry, no mailbox here by that name. (#5.1.1 - chkuser)", HARD),
    ("550 Unrouteable address", HARD),
    ("550 Callout verification failed: 550 Unknown user", HARD),
    ("550 \u6b64\u7528\u6237\u4e0d\u5b58\u5728", HARD),
    ("550 该用户未开通QQ邮箱", HARD),
    ("552 收件人空间不足", SOFT),
    ("550 邮件内容疑似垃圾邮件，已被拒收", POLICY),
    ("550 发送过于频繁，请稍后再试", THROTTLED),
    # Reports of replies, words without any code, and nothing at all.
    ("host mx3.qq.com[203.205.219.57] said: 550 Mailbox not found (in reply to end of DATA command)", HARD),
    ("smtp; 550 5.1.1 user unknown", HARD),
    ("X-Postfix; unknown user: \"li\"", HARD),
    ("Sorry, I couldn't find a mail exchanger or IP address. (#5.4.4)", SOFT),
    ("The mailbox is full.", SOFT),
    ("connect to mx.example.org[192.0.2.25]:25: Connection timed out", SOFT),
    ("", SOFT),
    # Words in addresses and links are nobody's words.
    ("550 5.1.1 <anti-spam-policy@example.org>: see https://example.org/spam/blocked", HARD),
    ("550 Sender address does not exist", POLICY),
    ("550 发件人地址不存在", POLICY),
    ("Host or domain name not found: no address associated with hostname", SOFT),
    ("550 no <user.unknown@example.org>", SOFT),
    ("550 5.1.1 rejected as spam", POLICY),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "expected"), REPLIES, ids=[reply[:60] for reply, _ in REPLIES])
def test_meaning__of_replies(reply: str, expected: Meaning) -> None:
    """Only who certainly has no mailbox is hard; what we have done is never held against a person."""
    assert meaning(reply) is expected


@pytest.mark.parametrize(
    ("code", "enhanced", "text", "expected"),
    [
        (0, "5.1.1", "", HARD),
        (0, "4.4.7", "", DELAYED),
        (0, "5.2.2", "", SOFT),
        (0, "5.7.26", "", POLICY),
        (550, "", "user unknown", HARD),
        (450, "5.1.1", "user unknown", DELAYED),
        (550, "4.2.2", "", SOFT),
    ],
)
def test_classify__codes(code: int, enhanced: str, text: str, expected: Meaning) -> None:
    """Reports give the codes apart; where two disagree, the one that harms less holds."""
    assert classify(code, enhanced, text) is expected
